"""The half of the LibreOffice wrapper that speaks UNO; runs under the Python that came with LibreOffice.

Our own interpreter cannot import ``uno`` in general, so ``libreoffice.py`` starts this file as a
child and exchanges one JSON object per line with it. One document is open at a time. Standard
library and ``uno`` only; nothing here decides what a file is worth, it reports what LibreOffice did.

Source: LibreOffice SDK 7.4, com.sun.star.document.MediaDescriptor, .frame.XComponentLoader,
.task.XInteractionHandler, .document.XGraphicStorageHandler.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import uno  # type: ignore[import-not-found]
import unohelper  # type: ignore[import-not-found]
from com.sun.star.beans import PropertyValue  # type: ignore[import-not-found]
from com.sun.star.connection import NoConnectException  # type: ignore[import-not-found]
from com.sun.star.document import XGraphicStorageHandler  # type: ignore[import-not-found]
from com.sun.star.task import XInteractionHandler  # type: ignore[import-not-found]

CONNECT_PAUSE_S = 0.005  # LibreOffice answers ~0.1 s after its start
NEVER_EXECUTE = 0  # com.sun.star.document.MacroExecMode
NO_UPDATE = 0  # com.sun.star.document.UpdateDocMode
KINDS = {  # a filter's DocumentService; others (databases, charts) are never loaded
    "com.sun.star.text.TextDocument": "text",
    "com.sun.star.text.GlobalDocument": "text",
    "com.sun.star.text.WebDocument": "text",
    "com.sun.star.presentation.PresentationDocument": "presentation",
    "com.sun.star.drawing.DrawingDocument": "drawing",
    "com.sun.star.sheet.SpreadsheetDocument": "spreadsheet",
    "com.sun.star.formula.FormulaProperties": "formula",
}
REFUSALS = {"password", "repair"}
EXPORTERS = {"text": "Writer", "presentation": "Impress", "drawing": "Draw", "spreadsheet": "Calc"}


class FailedError(Exception):
    """An answer to the wrapper: a word that it knows, and LibreOffice's own message."""

    def __init__(self, word: str, message: str) -> None:
        super().__init__(word, message)
        self.word, self.message = word, message


class Asked(unohelper.Base, XInteractionHandler):  # type: ignore[misc]
    """Stands where a dialog would: notes what LibreOffice asked, and never helps it to go on by guessing.

    The request itself cannot be read: pyuno 7.4 fails on an exception passed as a value. The possible
    answers tell enough.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []

    def handle(self, request: Any) -> None:
        """Called by LibreOffice, from its side of the bridge."""
        offered = request.getContinuations()
        if pick(offered, "XInteractionPassword"):
            self.requests.append("password")
        elif pick(offered, "XInteractionDisapprove"):
            self.requests.append("repair")
        else:
            self.requests.append("message")  # a warning with an OK button
            if chosen := pick(offered, "XInteractionApprove"):
                chosen.select()
                return
        if chosen := pick(offered, "XInteractionDisapprove") or pick(offered, "XInteractionAbort"):
            chosen.select()


class NoPictures(unohelper.Base, XGraphicStorageHandler):  # type: ignore[misc]
    """Takes the pictures of a written content.xml and drops them: only their mention is wanted.

    Without it, the exporter writes every picture into the XML as base64.
    """

    def loadGraphic(self, _url: str) -> None:  # noqa: N802 -- UNO's name
        """Never asked for in an export."""

    def loadGraphicFromOutputStream(self, _stream: Any) -> None:  # noqa: N802 -- UNO's name
        """Never asked for in an export."""

    def saveGraphic(self, _graphic: Any) -> str:  # noqa: N802 -- UNO's name
        """Name the picture without storing it."""
        return "Pictures/not-stored"

    def saveGraphicByName(self, _graphic: Any, mime: str, _name: str) -> tuple[str, str]:  # noqa: N802 -- UNO's name
        """Name the picture without storing it."""
        return "Pictures/not-stored", mime

    def createInputStream(self, _graphic: Any) -> None:  # noqa: N802 -- UNO's name
        """No bytes are to be embedded."""


def values(**named: Any) -> tuple[Any, ...]:
    """UNO's named arguments."""
    listed = []
    for name, value in named.items():
        one = PropertyValue()
        one.Name, one.Value = name, value
        listed.append(one)
    return tuple(listed)


class Bridge:
    """One connection to one LibreOffice."""

    def __init__(self, pipe: str, office_pid: int, patience_s: float) -> None:
        local = uno.getComponentContext()
        resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
        self.context = connect(resolver, f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext", office_pid, patience_s)
        self.desktop = self.service("com.sun.star.frame.Desktop")
        self.filters = self.service("com.sun.star.document.FilterFactory")
        self.detection = self.service("com.sun.star.document.TypeDetection")
        self.files = self.service("com.sun.star.ucb.SimpleFileAccess")
        self.document: Any = None
        self.kind = ""

    def service(self, name: str, *arguments: Any) -> Any:
        """Create a UNO service inside LibreOffice."""
        manager = self.context.ServiceManager
        if arguments:
            return manager.createInstanceWithArgumentsAndContext(name, arguments, self.context)
        return manager.createInstanceWithContext(name, self.context)

    def version(self) -> str:
        """The full version, e.g. ``7.4.7.2``."""
        provider = self.service("com.sun.star.configuration.ConfigurationProvider")
        product = provider.createInstanceWithArguments(
            "com.sun.star.configuration.ConfigurationAccess", values(nodepath="/org.openoffice.Setup/Product")
        )
        return str(product.getByName("ooSetupVersionAboutBox"))

    def open(self, source: str, refuse: list[str]) -> dict[str, Any]:
        """Load *source* read-only, without macros, links or dialogs, and without a view.

        A view would draw every comment in a window; where LibreOffice's screen parts are not installed
        (Debian's -nogui packages) it aborts over that (seen in 7.4.7).
        """
        url, asked = uno.systemPathToFileUrl(source), Asked()
        guard = values(MacroExecutionMode=NEVER_EXECUTE, UpdateDocMode=NO_UPDATE, Hidden=True)
        filter_name, described = self.detect(url, asked)
        if filter_name in refuse:
            raise FailedError("refused-filter", filter_name)
        try:
            service = {one.Name: one.Value for one in self.filters.getByName(filter_name)}["DocumentService"]
            self.kind = KINDS[service]
            self.document = self.service(service)
            self.document.load((*described, *guard))
        except KeyError as unknown:
            raise FailedError("unreadable", f"no import filter for {unknown}") from unknown
        except uno.getClass("com.sun.star.uno.Exception") as problem:
            raise FailedError(word_for(asked.requests), text_of(problem)) from problem
        return {"kind": self.kind, "import_filter": filter_name, "asked": asked.requests}

    def detect(self, url: str, asked: Asked) -> tuple[str, Any]:
        """Which import filter fits, by content; before loading, so that refused bytes are never laid out."""
        described = values(URL=url, ReadOnly=True, InteractionHandler=asked)
        _type, described = self.detection.queryTypeByDescriptor(described, True)
        filter_name = str({one.Name: one.Value for one in described}.get("FilterName") or "")
        if REFUSALS & set(asked.requests) or not filter_name:
            raise FailedError(word_for(asked.requests), "it knows no format like this")
        return filter_name, described

    def read(self, content: str, styles: str) -> dict[str, Any]:
        """Write what LibreOffice read as ODF's two XML parts, without pictures; far cheaper than a walk over UNO."""
        application = EXPORTERS.get(self.kind)
        if application is None:
            raise FailedError("kind", self.kind)
        complete = True
        for part, path in (("Content", content), ("Styles", styles)):
            writer, stream = self.service("com.sun.star.xml.sax.Writer"), self.files.openFileWrite(uno.systemPathToFileUrl(path))
            writer.setOutputStream(stream)
            exporter = self.service(f"com.sun.star.comp.{application}.XMLOasis{part}Exporter", writer, NoPictures())
            exporter.setSourceDocument(self.document)
            written = exporter.filter(())
            stream.closeOutput()
            complete = complete and bool(written)
        return {"complete": complete}

    def export(self, target: str, filter_name: str, options: dict[str, Any], *, still_media: bool) -> dict[str, Any]:
        """Store the open document as *target*; answer with the pages that the model counts."""
        if still_media:
            self.still_media()
        data = uno.Any("[]com.sun.star.beans.PropertyValue", values(**options))
        pages = self.pages()
        try:
            self.document.storeToURL(uno.systemPathToFileUrl(target), values(FilterName=filter_name, FilterData=data))
        except uno.getClass("com.sun.star.uno.Exception") as problem:
            raise FailedError("export", text_of(problem)) from problem
        return {"pages": pages}

    def pages(self) -> int:
        """Pages as laid out (text), slides or drawing pages; 0 where the model has none. Drops a text's comments."""
        if self.kind in {"presentation", "drawing"}:
            return int(self.document.DrawPages.Count)
        if self.kind != "text":
            return 0
        self.drop_comments()
        view = values(Model=self.document, Hidden=True)
        self.desktop.loadComponentFromURL("private:object", "_blank", 0, view)
        controller = self.document.getCurrentController()
        return int(controller.PageCount) if controller is not None else 0

    def still_media(self) -> None:
        """Put its picture in the place of each sound and film on a slide: playing is forbidden in PDF/A (ISO 19005-2, 6.3.1)."""
        if self.kind not in {"presentation", "drawing"}:
            return
        pages = self.document.DrawPages
        for page in (pages.getByIndex(index) for index in range(pages.Count)):
            shapes = [page.getByIndex(index) for index in range(page.Count)]
            for shape in (one for one in shapes if str(one.getShapeType()).endswith(".MediaShape")):
                picture = shape.getPropertyValue("FallbackGraphic")
                if picture is not None:
                    still = self.document.createInstance("com.sun.star.drawing.GraphicObjectShape")
                    page.add(still)
                    still.Graphic = picture
                    still.Transformation = shape.Transformation
                    still.ZOrder = shape.ZOrder
                page.remove(shape)

    def drop_comments(self) -> None:
        """Take the comments out of the open text, so that a view has none to draw (see ``open``)."""
        fields, found = self.document.getTextFields().createEnumeration(), []
        while fields.hasMoreElements():
            one = fields.nextElement()
            if one.supportsService("com.sun.star.text.textfield.Annotation"):
                found.append(one)
        if found:
            self.document.RecordChanges = False  # or their removal would be a tracked change of its own
        for one in found:
            one.dispose()

    def close(self) -> dict[str, Any]:
        """Forget the document; one that will not close costs the caller this LibreOffice."""
        document, self.document, self.kind = self.document, None, ""
        if document is not None:
            try:
                document.close(True)
            except uno.getClass("com.sun.star.uno.Exception") as problem:
                raise FailedError("close", text_of(problem)) from problem
        return {}

    def is_alive(self) -> bool:
        """Whether LibreOffice still answers: an exception alone does not tell, it comes in many kinds."""
        try:
            return bool(self.desktop.getImplementationName())
        except uno.getClass("com.sun.star.uno.Exception"):
            return False

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what one line asks."""
        operation = request.pop("do")
        if operation == "open":
            return self.open(**request)
        if operation == "read":
            return self.read(**request)
        if operation == "export":
            return self.export(**request)
        return self.close()


def connect(resolver: Any, url: str, office_pid: int, patience_s: float) -> Any:
    """Ask until LibreOffice listens on its pipe, is gone, or *patience_s* is over."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return resolver.resolve(url)
        except NoConnectException:
            if time.monotonic() > deadline or not Path(f"/proc/{office_pid}").exists():
                raise
            time.sleep(CONNECT_PAUSE_S)


def pick(offered: Any, interface: str) -> Any:
    """The continuation of that kind among *offered*, or None."""
    wanted = uno.getTypeByName(f"com.sun.star.task.{interface}")
    return next((found for one in offered if (found := one.queryInterface(wanted))), None)


def word_for(requests: list[str]) -> str:
    """What a refused load means, by what LibreOffice had wanted to ask."""
    if "password" in requests:
        return "encrypted"
    return "broken" if "repair" in requests else "unreadable"


def text_of(problem: Any) -> str:
    """A UNO exception in one line."""
    return (str(getattr(problem, "Message", "")) or type(problem).__name__).replace("\n", " ")[:500]


def say(answer: dict[str, Any]) -> None:
    """One line to the wrapper."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def listen(requests: queue.Queue[str], office_pid: int) -> None:
    """Pass lines on; at the end of input the wrapper is gone, and LibreOffice must not outlive it."""
    for line in sys.stdin:
        requests.put(line)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(office_pid, signal.SIGKILL)
    os._exit(0)


def main(pipe: str, office_pid: int, patience_s: float) -> None:
    """Serve until the input ends or LibreOffice is lost (exit code 1)."""
    requests: queue.Queue[str] = queue.Queue()
    threading.Thread(target=listen, args=(requests, office_pid), daemon=True).start()
    bridge = Bridge(pipe, office_pid, patience_s)
    say({"ok": True, "version": bridge.version()})
    while True:
        request = json.loads(requests.get())
        try:
            say({"ok": True, **bridge.answer(request)})
            continue
        except FailedError as failed:
            word, message = failed.word, failed.message
        except uno.getClass("com.sun.star.uno.Exception") as problem:
            word, message = "failed", text_of(problem)
        if not bridge.is_alive():
            say({"ok": False, "word": "lost", "message": message})
            sys.exit(1)
        say({"ok": False, "word": word, "message": message})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
