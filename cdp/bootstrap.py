"""Make the environment and run something in it: finds a Python, makes .venv, installs the locked requirements, compiles
translations. Runs with any Python 3, standard library only; `make` calls it.
"""

import glob
import hashlib
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
# The digest of the lock file that was installed last.
STAMP = os.path.join(VENV, "installed")
NEEDED = (3, 12)


def main(arguments):
    """bootstrap.py [--dev] COMMAND…: the command is run by the environment's Python."""
    dev = "--dev" in arguments[:1]
    python = make_environment("requirements-dev.txt" if dev else "requirements.txt")
    compile_translations(python)
    command = arguments[1:] if dev else arguments
    if command:
        os.chdir(ROOT)
        os.execv(python, [python] + command)


def make_environment(requirements):
    python = os.path.join(VENV, "bin", "python")
    if os.path.exists(python) and is_installed(requirements):
        return python
    if not works(python):
        found = find_python()
        if found is None:
            sys.exit(
                "Tagline needs Python 3.12 or newer with its venv module, and none was found; this is %d.%d.\n"
                "Install one (Debian, Ubuntu: apt install python3.12 python3.12-venv; macOS: brew install python@3.13),\n"
                "then run this again." % sys.version_info[:2]
            )
        print("Making .venv with " + found)
        sys.stdout.flush()
        subprocess.check_call([found, "-m", "venv", "--clear", VENV])
    install(python, requirements)
    return python


def find_python():
    """The newest Python that really runs: a name on the PATH may be a shim that only fails."""
    names = ["python3.%d" % minor for minor in range(14, 11, -1)]
    homes = sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python3")), key=version_key, reverse=True)
    for candidate in names + homes + ["python3", "python", sys.executable]:
        if candidate and works(candidate):
            return candidate
    return None


def version_key(path):
    version = path.split(os.sep)[-3].split(".")
    return [int(part) if part.isdigit() else 0 for part in version]


def works(python):
    check = "import sys, venv, ensurepip; sys.exit(sys.version_info < %r)" % (NEEDED,)
    try:
        return subprocess.call([python, "-c", check], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def is_installed(requirements):
    """Whether this lock file, or the larger one that holds it, was installed."""
    if not os.path.exists(STAMP):
        return False
    with open(STAMP) as stamp:
        done = stamp.read().split()
    return digest(requirements) in done or digest("requirements-dev.txt") in done


def install(python, requirements):
    print("Installing " + requirements + " (once; about a minute)")
    sys.stdout.flush()
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"]
    subprocess.check_call(command + [os.path.join(ROOT, requirements)])
    with open(STAMP, "w") as out:
        out.write(digest(requirements) + "\n")


def digest(name):
    with open(os.path.join(ROOT, name), "rb") as lock:
        return hashlib.sha256(lock.read()).hexdigest()


def compile_translations(python):
    """Compile each catalogue whose compiled one is missing or older."""
    for source in glob.glob(os.path.join(ROOT, "locale", "*", "LC_MESSAGES", "*.po")):
        compiled = source[:-3] + ".mo"
        if not os.path.exists(compiled) or os.path.getmtime(compiled) < os.path.getmtime(source):
            babel = [python, "-m", "babel.messages.frontend", "--quiet", "compile", "-i", source, "-o", compiled]
            subprocess.check_call(babel)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        sys.exit("Setting Tagline up failed; the reason stands above. What ended: " + " ".join(error.cmd))
