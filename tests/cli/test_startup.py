"""Separate processes: commands that start without a backend, and incomplete environments."""

import os
import subprocess
import sys

from made_data import ROOT


def run(*arguments, **environment):
    """The finished process of a Python command line in a changed environment; None removes a variable."""
    changed = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    changed = {name: value for name, value in changed.items() if value is not None}
    return subprocess.run([sys.executable, *arguments], env=changed, capture_output=True, text=True, timeout=300)


def test_what_lists_and_helps_imports_no_backend_and_is_quick():
    code = """
import sys, time
from lwcnn.cli.main import main
for line in ("--help", "--version", "train --help", "bench --help", "list", "datasets"):
    try:
        main(line.split())
    except SystemExit as done:
        assert done.code == 0, line
heavy = {"keras", "tensorflow", "jax", "torch", "numba", "scipy", "sklearn", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
# The processor's time, which a busy machine does not stretch much; half a second on one core.
assert time.process_time() < 1.5, time.process_time()
"""
    done = run("-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert "lwcnn 0." in done.stdout and "residual_se" in done.stdout and "mnist" in done.stdout


def test_a_wrong_name_or_path_is_told_before_a_backend_is_imported():
    code = """
import sys
from lwcnn.cli.main import main
for line in ("predict wern a.png", "evaluate wern", "export wern --format onnx", "bench wren papre", "train wrne",
             "kfold papre", "finetune wern --dataset digits", "summary wern", "demo wern",
             "predict no/model.keras a.png", "evaluate no/model.keras", "bench wren no/model.keras",
             "predict wren no/photo.png"):
    try:
        main(line.split())
    except SystemExit as wrong_usage:
        assert wrong_usage.code == 2, line
    else:
        raise AssertionError(line)
assert not {"keras", "tensorflow", "jax", "torch", "gradio"} & set(sys.modules)
"""
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("There is no such model: check the path. Received: no/model.keras") == 3
    assert done.stderr.count("Did you mean 'wren'?") == 7 and done.stderr.count("Did you mean 'paper'") == 2


def test_public_names_are_there_and_only_some_import_a_backend():
    code = """
import sys, lwcnn
sys.modules["IPython"] = None  # only notebooks have it
for name in lwcnn._WITHOUT_BACKEND:
    getattr(lwcnn, name)
assert "keras" not in sys.modules
for name in lwcnn.__all__:
    public = getattr(lwcnn, name)
    module = sys.modules[lwcnn._MODULES[name]]
    assert public is getattr(module, name, module)  # `figures` and `tables` are modules themselves
assert set(lwcnn.__all__) <= set(dir(lwcnn))
assert not hasattr(lwcnn, "no_such_name")
"""
    done = run("-c", code)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_poor_environment_neither_fails_nor_speaks():
    """No home, no usable thread count, a terminal of ASCII, and not a line of the backend's log."""
    poor = {"HOME": None, "OMP_NUM_THREADS": "0", "PYTHONIOENCODING": "ascii", "TF_CPP_MIN_LOG_LEVEL": None}
    code = """
import os, sys
from lwcnn.system import environment as backend
from lwcnn.cli.main import main
assert backend.num_threads() == len(os.sched_getaffinity(0))
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
assert backend.num_threads() == 1
sys.exit(main(["summary", "paper"]))
"""
    done = run("-c", code, **poor)
    assert (done.returncode, done.stderr) == (0, "")
    assert "parameters" in done.stdout


def test_without_a_backend_one_line_says_what_to_install():
    code = """
import sys
sys.modules["tensorflow"] = None
from lwcnn.cli.main import main
sys.exit(main(["summary", "paper"]))
"""
    done = run("-c", code, KERAS_BACKEND="tensorflow", KERAS_HOME=os.devnull)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "pip install '.[tensorflow]' in a checkout" in line and "KERAS_BACKEND=tensorflow" in line


def test_a_reader_that_goes_away_ends_the_command_quietly():
    process = subprocess.Popen(
        [sys.executable, "-m", "lwcnn", "list"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert (process.stderr.read(), process.wait(timeout=60)) == (b"", 141)
    process.stderr.close()


def test_ctrl_c_while_the_command_line_is_imported_ends_it_without_a_traceback():
    code = """
import sys

class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "lwcnn.cli.main":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
from lwcnn.__main__ import main
sys.exit(main())
"""
    done = run("-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nlwcnn: interrupted\n")


def test_an_export_imports_no_kernels():
    code = """
import sys
import lwcnn.export.run
assert not [name for name in sys.modules if name.startswith("lwcnn.engine.kernels")], "they compile on import"
"""
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
