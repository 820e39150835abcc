"""One document per file: text and Markdown as they are; html, pdf and docx through markitdown."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from embedlab.errors import missing_extra

CONVERTED = {".html": "Html", ".htm": "Html", ".pdf": "Pdf", ".docx": "Docx"}
SUFFIXES = (".md", ".markdown", ".txt", *CONVERTED)


class Unreadable(Exception):
    """Why a file, or a row of a table, gives no document."""


def read_file(path: Path) -> dict[str, Any]:
    """Title, where the format has one, and text of a file.

    Raises:
        Unreadable: it is encrypted, broken, not UTF-8, or holds no text.
        UserError: the packages that read its format are not installed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unreadable(str(error.strerror or error)) from error
    if not content:
        raise Unreadable("the file is empty")
    suffix = path.suffix.lower()
    title, text = _converted(content, suffix) if suffix in CONVERTED else ("", _decoded(content))
    if not text.strip() and not title.strip():
        scanned = " (pages that are pictures need OCR first)" if suffix == ".pdf" else ""
        raise Unreadable(f"it holds no text{scanned}")
    return {"title": title, "text": text}


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("it is not UTF-8 text") from error


def _converted(content: bytes, suffix: str) -> tuple[str, str]:
    # The converter of the file's own format, and no other: markitdown alone would try the next
    # ones, and take the bytes of a broken file for a text.
    try:
        from markitdown import MissingDependencyException, StreamInfo, converters
    except ImportError:
        raise missing_extra(f"Reading {suffix} files", "documents") from None
    converter = getattr(converters, f"{CONVERTED[suffix]}Converter")()
    information = StreamInfo(extension=suffix, charset=_charset(content, suffix))
    try:
        result = _quietly(lambda: converter.convert(BytesIO(content), information))
    except MissingDependencyException:
        raise missing_extra(f"Reading {suffix} files", "documents") from None
    except Exception as error:  # of pdfminer, mammoth, zipfile, lxml, ...: the file is at fault
        raise Unreadable(_why(error, suffix)) from error
    return (result.title or "").strip(), result.markdown


def _charset(content: bytes, suffix: str) -> str | None:
    """UTF-8 where an HTML file is in it; else what it says itself is found by the reader."""
    if CONVERTED[suffix] != "Html":
        return None
    from charset_normalizer import from_bytes

    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        best = from_bytes(content).best()
        return best.encoding if best else None
    return "utf-8"


def _quietly(convert: Callable[[], Any]) -> Any:
    """Without the log lines of pdfminer about fonts and the like."""
    import logging

    logger = logging.getLogger("pdfminer")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return convert()
    finally:
        logger.setLevel(before)


def _why(error: Exception, suffix: str) -> str:
    kind = type(error).__name__
    if "Password" in kind or "Encrypt" in kind:
        return "it is encrypted"
    return f"it is no readable {suffix[1:]} file ({kind}{f': {error}' if str(error) else ''})"
