"""Key files: sealed, tight, and honest about what is wrong."""

import json
import stat
from pathlib import Path

import pytest

from mgsnode import keystore
from mgsnode.base.errors import ConfigError, Locked, Malformed
from mgsnode.hdkeys import default_path, derive_seed, new_words, seed_of_words
from mgsnode.keystore import KeyFile, Keystore, read_key_file, read_key_info, write_key_file

SEED = bytes(range(32))
KEY = KeyFile(name="anna", use="account", seed=SEED, path="m/44'/1'/0'")


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore, "_MEMORY_KIB", 64)
    monkeypatch.setattr(keystore, "_PASSES", 1)


# SLIP-0010, test vectors 1 and 2 for ed25519.
@pytest.mark.parametrize(
    ("master", "path", "private"),
    [
        ("000102030405060708090a0b0c0d0e0f", "m",
         "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7"),
        ("000102030405060708090a0b0c0d0e0f", "m/0'",
         "68e0fe46dfb67e368c75379acec591dad19df3cde26e63b93a8e704f1dade7a3"),
        ("000102030405060708090a0b0c0d0e0f", "m/0'/1'",
         "b1d0bad404bf35da785a64ca1ac54b2617211d2777696fbffaf208f746ae84f2"),
        ("000102030405060708090a0b0c0d0e0f", "m/0'/1'/2'/2'/1000000000'",
         "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793"),
        ("fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a2"
         "9f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542", "m/0'/2147483647'",
         "ea4f5bfe8694d8bb74b7b59404632fd5968b774ed545e810de9c32a4fb4192f4"),
    ],
)  # fmt: skip
def test_slip_0010_vectors(master: str, path: str, private: str) -> None:
    assert derive_seed(bytes.fromhex(master), path).hex() == private


def test_bip_39_vector() -> None:
    words = "abandon " * 11 + "about"
    assert (
        seed_of_words(words, passphrase="TREZOR").hex().startswith("c55257c360c07c72029aebc1b53c")
    )
    assert seed_of_words(words.upper() + "  ") == seed_of_words(words)


@pytest.mark.parametrize("words", ["", "abandon", "abandon " * 12, "about " * 12, "zzz " * 12])
def test_wrong_words_are_refused(words: str) -> None:
    with pytest.raises(Malformed):
        seed_of_words(words)


@pytest.mark.parametrize("path", ["", "44'", "m/44", "m/44h", "m/2147483648'", "m" + "/1'" * 11])
def test_wrong_paths_are_refused(path: str) -> None:
    with pytest.raises(Malformed):
        derive_seed(b"x" * 64, path)


def test_new_words_differ_and_lead_to_a_key() -> None:
    first, second = new_words(), new_words()
    assert first != second
    assert len(first.split()) == 24
    assert derive_seed(seed_of_words(first), default_path(0)) != derive_seed(
        seed_of_words(first), default_path(1)
    )


@pytest.mark.parametrize("passphrase", [None, b"", b"correct horse"])
def test_a_key_reads_back_with_its_passphrase(tmp_path: Path, passphrase: bytes | None) -> None:
    path = tmp_path / "k.json"
    write_key_file(path, KEY, passphrase)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key_file(path, passphrase) == KEY
    info = read_key_info(path)
    assert (info.public_key, info.is_sealed) == (KEY.public_key, passphrase is not None)
    assert (SEED.hex() in path.read_text()) is (passphrase is None)


def test_case_78_a_wrong_or_missing_passphrase_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "k.json"
    write_key_file(path, KEY, b"right")
    with pytest.raises(Locked, match="wrong passphrase"):
        read_key_file(path, b"wrong")
    with pytest.raises(Locked, match="passphrase-fd"):
        read_key_file(path, None)


def test_case_78_a_private_key_is_not_printed() -> None:
    assert SEED.hex() not in repr(KEY)
    assert repr(SEED) not in repr(KEY)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o700, 0o660])
def test_a_looser_mode_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "k.json"
    write_key_file(path, KEY, None)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"mode {mode:04o}"):
        read_key_file(path, None)


def test_a_file_cut_anywhere_is_a_config_error(tmp_path: Path) -> None:
    path = tmp_path / "k.json"
    write_key_file(path, KEY, b"p")
    whole = path.read_bytes()
    for length in range(len(whole) - 2):
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigError):
            read_key_file(path, b"p")


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "mallory"), ("use", "vote"), ("path", "m"), ("certificate", "00")],
)
def test_what_a_sealed_file_says_cannot_be_changed(tmp_path: Path, field: str, value: str) -> None:
    path = tmp_path / "k.json"
    write_key_file(path, KEY, b"p")
    document = json.loads(path.read_text())
    document[field] = value
    path.write_text(json.dumps(document))
    with pytest.raises(Locked):
        read_key_file(path, b"p")


@pytest.mark.parametrize("cost", [{"memory_kib": 2**40}, {"passes": 0}, {"lanes": "4"}])
def test_a_file_cannot_make_us_allocate_or_spin(tmp_path: Path, cost: dict[str, object]) -> None:
    path = tmp_path / "k.json"
    write_key_file(path, KEY, b"p")
    document = json.loads(path.read_text())
    document["secret"].update(cost)
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError):
        read_key_file(path, b"p")


def test_a_keystore_never_overwrites_and_lists_in_order(tmp_path: Path) -> None:
    store = Keystore(tmp_path / "keys")
    store.add(KEY, b"p")
    store.add(KEY._replace(name="0.b-c"), b"p")
    with pytest.raises(ConfigError, match="never overwritten"):
        store.add(KEY, b"q")
    assert [info.name for info in store] == ["0.b-c", "anna"]
    store.change_passphrase("anna", b"p", b"q")
    assert store.load("anna", b"q") == KEY
    with pytest.raises(Locked):
        store.load("anna", b"p")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "ä", "x" * 65])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        Keystore(tmp_path).path_of(name)
