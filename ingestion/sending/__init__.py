"""How to send: examples, code to copy, the browser's snippet."""
