"""Who asks: JSON-RPC 2.0 over HTTP and WebSocket. See rpc/README.md for the order of reading."""
