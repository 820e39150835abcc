"""Documents of a user's own: files and tables become ids, texts, titles and metadata."""

from embedlab.documents.document_reader import read
from embedlab.documents.read_corpus import Corpus, Unread, unread_lines

__all__ = ["Corpus", "Unread", "read", "unread_lines"]
