"""Where compiled kernels are kept, and when they are compiled anew."""

import tempfile
from pathlib import Path

import numba
import pytest
from numba.core.dispatcher import Dispatcher

from lwcnn.engine.compilation import prepare_cache


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A folder of sources as of an installation."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(Dispatcher, "enable_caching", Dispatcher.enable_caching)  # given back after the test
    folder = tmp_path / "installation"
    (folder / "kernels").mkdir(parents=True)
    (folder / "kernels/tiles.py").write_text("import numba")
    (folder / "kernels/depthwise.py").write_text("from lwcnn.engine.kernels.arrays import jit")
    return folder


def test_kernels_of_each_state_of_the_sources_are_in_a_folder_of_the_user_else_nowhere(sources, tmp_path, monkeypatch):
    (sources / "__pycache__").write_text("a file, where no folder can be made: root may write anywhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    prepare_cache(sources)
    first = Path(numba.config.CACHE_DIR)
    assert first.parent == tmp_path / "home/lwcnn"
    (sources / "kernels/tiles.py").write_text("import numba as changed")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    prepare_cache(sources)
    assert Path(numba.config.CACHE_DIR).parent == first.parent and Path(numba.config.CACHE_DIR) != first

    shared = tmp_path / "home/lwcnn"
    shared.chmod(0o777)  # another user could put code there
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    prepare_cache(sources)
    assert Path(numba.config.CACHE_DIR).parents[1] == tmp_path / "temporary"

    monkeypatch.setattr(tempfile, "tempdir", str(sources / "__pycache__"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    prepare_cache(sources)
    assert numba.config.CACHE_DIR == ""
    function = numba.njit(cache=True)(eval("lambda x: x + 1"))  # no file, no locator: an error, were it to be cached
    assert function(1) == 2
