"""Documents of a user's own: files and tables become ids, texts, titles and metadata."""

from embedlab.documents.corpus import Corpus, Unread, unread_lines
from embedlab.documents.reading import read

__all__ = ["Corpus", "Unread", "read", "unread_lines"]
