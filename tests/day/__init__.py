"""The day in the life of a dollar: agents who wire fiat, the chain, and who judges both."""
