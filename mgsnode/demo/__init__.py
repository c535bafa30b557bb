"""The demo: a shop's real trade settles on a network of real nodes, and the chain is audited.

`plan` decides who does what, `wallet` signs it, `courier` brings it to the nodes and sees it
final, `replay` tells the story in the order of the file, `check` compares what came out with the
file, `run` ties them together and `screen` shows it.
"""
