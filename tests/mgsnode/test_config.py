"""Settings: who wins, and what a wrong key says."""

from pathlib import Path

import pytest

from mgsnode.base.errors import ConfigError
from mgsnode.config import Settings, config_path, load_settings, settings_toml


def write(home: Path, text: str) -> Path:
    config_path(home).parent.mkdir(parents=True)
    config_path(home).write_text(text)
    return home


def test_flags_beat_environment_beats_file_beats_defaults(tmp_path: Path) -> None:
    home = write(tmp_path, "[rpc]\nport = 1001\nconnections_max = 11\n[log]\nlevel = 'debug'\n")
    environ = {"MGSNODE_RPC__PORT": "1002", "MGSNODE_RPC__CONNECTIONS_MAX": "12", "PATH": "x"}
    settings = load_settings(home, flags={"rpc.port": "1003"}, environ=environ)
    assert settings.rpc.port == 1003
    assert settings.rpc.connections_max == 12
    assert settings.log.level == "debug"
    assert settings.p2p == Settings().p2p


def test_what_is_written_reads_back_the_same(tmp_path: Path) -> None:
    text = """
[p2p]
endpoints = { albion = "10.0.0.1:7" }
[[p2p.observers]]
name = "watcher"
certificate = "00ff"
[rpc]
cors_origins = ["https://a.example"]
"""
    settings = load_settings(write(tmp_path / "a", text), environ={})
    assert settings.p2p.observers[0].certificate == "00ff"
    again = load_settings(write(tmp_path / "b", settings_toml(settings)), environ={})
    assert again == settings


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[rpc]\nprot = 1", "unknown key rpc.prot; did you mean rpc.port?"),
        ("[rcp]\nport = 1", "unknown key rcp; did you mean rpc?"),
        ("[verify]\nrcp = 1", "unknown key verify.rcp; verify has workers"),
        ("port = 1", "unknown key port; did you mean p2p.port?"),
        ("p2p = 1", "p2p is a section"),
        ("[rpc]\nport = '1'", "rpc.port: input should be a valid integer"),
        ("[rpc]\nport = true", "rpc.port: input should be a valid integer"),
        ("[rpc]\nport = 0", "rpc.port: input should be greater"),
        ("[log]\nlevel = 'loud'", "log.level: input should be 'debug'"),
        ("[rpc\n", "not TOML"),
        ("[rpc]\nport = 1\nport = 2", "not TOML"),
        ("[[p2p.observers]]\nname = 'x'", "p2p.observers.0.certificate: field required"),
        (
            "[[p2p.observers]]\nname = 'x'\ncertificate = '00'\nhots = 'h'",
            "unknown key p2p.observers.0.hots; did you mean p2p.observers.host?",
        ),
    ],
)
def test_a_bad_file_names_the_key(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text), environ={})
    assert sentence in str(caught.value)
    assert "config.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("MGSNODE_RPC__PROT", "1", "MGSNODE_RPC__PROT: unknown key rpc.prot; did you mean"),
        ("MGSNODE_RPC__PORT", "one", "MGSNODE_RPC__PORT: rpc.port is not spelled as in TOML"),
        ("MGSNODE_RPC__PORT", "1.5", "MGSNODE_RPC__PORT: rpc.port: input should be a valid int"),
        ("MGSNODE_RPC__PORT", "1\nx = 2", "not spelled as in TOML"),
    ],
)
def test_a_bad_variable_is_named(variable: str, value: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, environ={variable: value})
    assert sentence in str(caught.value)


def test_a_file_that_is_not_text_or_not_readable_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "")
    config_path(tmp_path).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_settings(tmp_path, environ={})
