"""The page in a browser: an upload gets its class, a broken file a plain message, and nothing comes from elsewhere."""

import os
import shutil
import socket
import time

import keras
import numpy as np
import pytest
from PIL import Image

from lwcnn.publication.demo import network
from lwcnn.publication.demo.network import open_network
from lwcnn.publication.demo.page import EXAMPLES, _answer, build_page, find_examples, serve
from lwcnn.publication.figures import overlay_heatmaps
from lwcnn.system.errors import LwcnnError

SECONDS = 60  # for an answer, on a busy machine


@pytest.fixture(scope="module")
def wren():
    """The best network and its files."""
    return open_network("wren-30k", find_examples())


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium, which reaches this machine alone."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1000"):
        options.add_argument(argument)
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    opened = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield opened
    opened.quit()


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_the_twelve_examples_are_cifar_images_of_known_classes(wren):
    examples = find_examples()
    assert len(examples) == 12 and {Image.open(path).size for path in examples} == {(32, 32)}
    assert {path.stem.removesuffix("_2") for path in examples} == set(wren.class_names)


def test_examples_of_all_classes_come_first(tmp_path):
    for name in ("crack/1.png", "crack/2.png", "crack/3.png", "pit/1.png", "pit/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(EXAMPLES / "frog.png", tmp_path / name)
    found = [path.relative_to(tmp_path).as_posix() for path in find_examples(tmp_path)]
    assert found == ["crack/1.png", "pit/1.png", "crack/2.png", "pit/2.png", "crack/3.png"]


def test_an_answer_has_probabilities_a_heatmap_and_both_files(wren, monkeypatch):
    image = wren.read(EXAMPLES / "frog.png")
    assert image.shape == (1, 32, 32, 3) and wren.temperature
    probabilities = wren.probabilities(image)
    assert max(probabilities, key=probabilities.get) == "frog" and sum(probabilities.values()) == pytest.approx(1)
    assert wren.heatmap(image).shape == (32, 32, 3)
    monkeypatch.setattr(network, "time_calls", lambda *arguments, **options: [0.25, 0.5, 0.25])  # milliseconds
    (float_file, float_class, float_bytes, time), (int8_file, int8_class, int8_bytes, _) = wren.costs(image)
    assert time == "0.25"
    assert (float_file, float_class, int8_file, int8_class) == ("float32", "frog", "int8", "frog")
    assert int(float_bytes.replace(",", "")) > 2 * int(int8_bytes.replace(",", ""))


def test_a_network_is_converted_once(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    converted_before = []

    def convert(model, name, images=None):
        converted_before.append(name)
        return {"litert": b"float", "litert-int8": b"int8"}[name]

    monkeypatch.setattr(network, "convert", convert)
    for _ in range(2):
        assert open_network("wren-s", find_examples()).files == {"float32": b"float", "int8": b"int8"}
    assert len(converted_before) == 2
    (kept,) = (tmp_path / "datasets" / "converted").iterdir()
    os.utime(kept, (time.time() - 31 * 86_400, 0))
    open_network("wren-s", find_examples()[:6])  # calibrated on other images
    assert len(converted_before) == 4
    (other,) = (tmp_path / "datasets" / "converted").iterdir()
    assert other != kept, "what was not used for a month is deleted"


def test_a_broken_file_is_refused_in_plain_words(wren, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(LwcnnError, match="cannot be read as an image"):
        wren.read(tmp_path / "broken.png")


def test_an_example_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"no image")
    with pytest.raises(LwcnnError, match="out of the folder of examples: it cannot be read .*Received: .*a.heic"):
        open_network("wren-s", find_examples(tmp_path))


def test_a_network_without_feature_maps_of_its_own_has_no_heatmap(wren):
    images = keras.Input((32, 32, 3))
    nested = network.Network("nested", keras.Model(images, wren.model(images)), wren.class_names, None, {})
    shares, heatmap, costs = _answer(nested, EXAMPLES / "frog.png")
    assert max(shares, key=shares.get) == "frog" and heatmap is None and costs == []


def test_one_answer_at_a_time(wren):
    pytest.importorskip("gradio")
    answers = [one for one in build_page([wren], find_examples()).fns.values() if len(one.outputs) == 3]
    assert [(one.concurrency_id, one.concurrency_limit) for one in answers] == [("networks", 1)] * 2


def test_in_a_browser(wren, browser, tmp_path):
    pytest.importorskip("gradio")
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    page = build_page([wren], find_examples())
    address = serve(page, free_port())
    assert address.startswith("http://127.0.0.1:")

    def wait_for(text: str) -> None:
        WebDriverWait(browser, SECONDS).until(lambda _: text in browser.find_element(By.TAG_NAME, "body").text)

    def upload(path) -> None:
        browser.find_elements(By.CSS_SELECTOR, "input[type=file]")[0].send_keys(str(path))

    try:
        browser.get(address)
        wait_for(wren.title)
        (tmp_path / "broken.png").write_bytes(b"no image")
        upload(tmp_path / "broken.png")
        wait_for("cannot be read as an image")
        browser.get(address)
        wait_for(wren.title)
        with Image.open(EXAMPLES / "horse.png") as image:
            image.resize((320, 320)).save(tmp_path / "photo.jpg", quality=95)
        upload(tmp_path / "photo.jpg")
        wait_for("horse")
        wait_for("int8")
        browser.get(address)
        wait_for(wren.title)
        place = [path.stem for path in find_examples()].index("ship")
        browser.find_elements(By.CSS_SELECTOR, ".gallery-item")[place].click()
        wait_for("ship")
        wait_for("int8")
        loaded = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
        assert loaded and all(name.startswith((address, "data:", "blob:")) for name in loaded), loaded
    finally:
        page.close()


def test_a_taken_port_and_a_folder_without_images_are_refused(wren, tmp_path):
    pytest.importorskip("gradio")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(LwcnnError, match=f"another port.*{port}"):
            serve(build_page([wren], find_examples()), port)
    with pytest.raises(LwcnnError, match="Give a folder of images"):
        find_examples(tmp_path)


def red_and_green(temperature=None):
    """A network whose logits are the means of red and green, and an image: red at the left, green at the right."""
    inputs = keras.Input((4, 8, 3))
    x = keras.layers.Conv2D(2, 1, use_bias=False)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(keras.layers.GlobalAveragePooling2D()(x)))
    model.set_weights([np.array([[[[0.02, 0], [0, 0.02], [0, 0]]]]), np.eye(2)])
    image = np.zeros((1, 4, 8, 3), np.uint8)
    image[:, :, :4, 0], image[:, :, 4:, 1] = 200, 100
    return network.Network("colors", model, ("red", "green"), temperature, {}), image


@pytest.mark.parametrize("channels", [[0, 1, 2], [1, 0, 2]])
def test_the_heatmap_is_of_the_predicted_class_over_the_image(channels):
    colors, image = red_and_green()
    image = image[..., channels]
    probabilities = colors.probabilities(image)
    assert max(probabilities, key=probabilities.get) == ("red", "green")[channels[0]]
    left = np.zeros((1, 4, 8))
    left[:, :, :4] = 1  # only this half supports the predicted class
    np.testing.assert_allclose(colors.heatmap(image).astype(int), overlay_heatmaps(image, left)[0], atol=1)


def test_probabilities_are_those_at_the_temperature():
    colors, image = red_and_green(temperature=2.0)
    assert colors.probabilities(image)["red"] == pytest.approx(1 / (1 + np.exp(-0.5)))  # logits of 2 and 1
