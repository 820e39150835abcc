"""Documents in chunks: how they are cut, and how a document's score comes of its chunks'."""
