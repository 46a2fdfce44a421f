"""A real ImageJ with the plugin in it, for tests: finds JDKs, builds the jar, runs macros."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from abi import LIBRARY, ROOT

from napari_cem import weights

PROJECT = ROOT / "fiji_native"
STAGE = ROOT / "build" / "fiji"
FOREIGN = 22


@cache
def jdks() -> dict[int, Path]:
    """Homes of the JDKs that lie beside the one on the path, by their versions."""
    java = shutil.which("java")
    assert java, "there is no java; `make test` installs one"
    own = Path(java).resolve().parents[1]
    found: dict[int, Path] = {}
    for home in sorted({own, *own.parent.iterdir()}):
        if (home / "bin" / "javac").is_file() and (home / "release").is_file():
            text = (home / "release").read_text()
            version = text.split('JAVA_VERSION="')[1].split('"')[0]
            found[int(version.split(".")[0])] = home.resolve()
    return found


def bridges() -> list[tuple[int, str]]:
    """Java versions and the bridges that they have."""
    return [(java, kind) for java in jdks() for kind in ("jna", "ffm")[: 1 + (java >= FOREIGN)]]


@dataclass(frozen=True)
class Result:
    """What a macro printed, and whether it came to its end."""

    output: str
    ended: bool


@dataclass(frozen=True)
class ImageJ:
    """Jars of a build, and the folder whose plugins are loaded."""

    lib: Path
    stale: Path
    app: Path
    classes: Path

    def run(
        self,
        macro: str,
        folder: Path,
        java: int,
        *options: str,
        stale: bool = False,
        display: str = "xvfb",
        argument: str = "",
    ) -> Result:
        """Runs a macro in a new ImageJ 1.54p with a home of its own.

        `display` is "xvfb", or without one "plain", or "patched" as Fiji patches ImageJ.
        """
        file = folder / "macro.ijm"
        file.write_text(f'{macro.replace("getArgument()", repr_of(argument))}\nprint("CEM-END");\n')
        command: list[str | Path] = [jdks()[java] / "bin" / "java", *options, *flags(java)]
        command += [f"-Duser.home={folder}", f"-Dplugins.dir={self.app}"]
        return finished(folder, command + self.start(file, stale, display))

    def start(self, file: Path, stale: bool, display: str) -> list[str | Path]:
        """Class path, main class and arguments that run a macro file."""
        jars = [
            self.lib / "ij-1.54p.jar",
            next((self.stale if stale else self.lib).glob("jna-*.jar")),
        ]
        if display == "xvfb":
            return ["-cp", joined(jars), "ij.ImageJ", "-batch", file]
        jars += [*(self.app / "plugins").glob("*.jar"), self.classes]
        headless: list[str | Path] = ["-Djava.awt.headless=true"]
        if display == "patched":
            jars += [jar for jar in self.lib.glob("*.jar") if jar not in jars]
            headless += ["--add-opens", "java.base/java.lang=ALL-UNNAMED"]
        main = "cem.PlainHeadless" if display == "plain" else "cem.PatchedHeadless"
        return [*headless, "-cp", joined(jars), main, file]

    def drive(self, script: list[str], folder: Path, java: int) -> Result:
        """Drives the windows of an ImageJ by the lines of a script (GuiDriver.java)."""
        file = folder / "script.txt"
        file.write_text("\n".join(script) + "\n")
        jars = [self.lib / "ij-1.54p.jar", *self.lib.glob("jna-*.jar"), self.classes]
        command: list[str | Path] = [
            jdks()[java] / "bin" / "java", *flags(java), f"-Duser.home={folder}",
            f"-Dplugins.dir={self.app}", "-cp", joined(jars), "cem.GuiDriver", file,
        ]  # fmt: skip
        return finished(folder, command, "GUI-END")

    def endure(self, what: str, folder: Path, java: int, timeout: int = 400) -> Result:
        """Runs many commands in one ImageJ (Endurance.java)."""
        jars = [self.lib / "ij-1.54p.jar", *self.lib.glob("jna-*.jar"), self.classes]
        command: list[str | Path] = [
            jdks()[java] / "bin" / "java", *flags(java), f"-Duser.home={folder}",
            f"-Dplugins.dir={self.app}", "-cp", joined(jars), "cem.Endurance", folder,
        ]  # fmt: skip
        return finished(folder, [*command, *what.split()], timeout=timeout)


def repr_of(text: str) -> str:
    """A string of the macro language."""
    return '"' + text + '"'


def joined(jars: list[Path]) -> str:
    """A class path."""
    return os.pathsep.join(map(str, jars))


def flags(java: int) -> list[str]:
    """What newer Java wants to hear."""
    return ["--enable-native-access=ALL-UNNAMED"] if java >= FOREIGN else []


def finished(
    folder: Path, command: list[str | Path], end: str = "CEM-END", timeout: int = 400
) -> Result:
    """Runs a command under a display of its own to its end."""
    screen = ["xvfb-run", "-a", "-s", "-screen 0 1280x1000x24"]
    done = subprocess.run(
        [*screen, *map(str, command)],
        check=False, capture_output=True, text=True, timeout=timeout, cwd=folder,
    )  # fmt: skip
    output = done.stdout + done.stderr
    return Result(output, end in output.splitlines())


@cache
def build() -> ImageJ:
    """Builds the jar with the library that Python uses, on the newest JDK."""
    native = STAGE / "native" / "linux-x86_64"
    shutil.rmtree(STAGE, ignore_errors=True)
    native.mkdir(parents=True)
    for file in LIBRARY.parent.glob("*.so*"):
        shutil.copy2(file, native)
    shutil.copy2(weights.PACKAGED, native)
    newest = jdks()[max(jdks())]
    command = ["mvn", "-q", "-B", "clean", "package", "-Ptestbed", f"-Dnatives={native.parent}"]
    done = subprocess.run(
        command,
        check=False, capture_output=True, text=True, timeout=600, cwd=PROJECT,
        env={**os.environ, "JAVA_HOME": str(newest)},
    )  # fmt: skip
    assert not done.returncode, done.stdout + done.stderr
    app = STAGE / "app"
    target = PROJECT / "target"
    jars = {"plugins": target.glob("CEM_Native-*.jar"), "jars": (target / "lib").glob("jna-*.jar")}
    for name, files in jars.items():
        (app / name).mkdir(parents=True)
        for file in files:
            shutil.copy2(file, app / name)
    return ImageJ(target / "lib", target / "stale", app, target / "test-classes")
