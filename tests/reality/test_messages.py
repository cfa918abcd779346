"""The exporters turn libraries' exceptions into one complete printable line with the useful part."""

import os
import pickle
import socket
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))  # for `python -m unittest PATH`, which leaves it out

import huggingface_hub.errors
import support  # noqa: F401
import torch
from torch import nn

from sdsclip_export import hub
from sdsclip_export.errors import one_line, printable


def raised(function) -> Exception:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


class Response:
    """The parts of an HTTP response that the hub's errors use."""

    def __init__(self, status: int):
        self.status_code = status
        self.headers: dict = {}
        self.request = None


def hub_error(kind: type, status: int) -> Exception:
    """Raises the hub's error as transformers does: inside an OSError with long advice."""
    try:
        try:
            raise kind("401 Client Error. (Request ID: Root=1-66)\n\nCannot access", response=Response(status))
        except Exception as error:
            raise OSError("X is not a local folder and is not a valid model identifier\nIf this is private ...") from error
    except OSError as error:
        return error


class OneLine(unittest.TestCase):
    def assert_line(self, error: Exception, pattern: str) -> None:
        line = one_line(error)
        self.assertTrue(line.isprintable(), repr(line))
        self.assertRegex(line, pattern)
        self.assertLess(len(line), 700)

    def test_colours_control_characters_and_undecodable_names_are_made_printable(self) -> None:
        self.assertEqual(printable("a\x1b[1mb\x1b[0m\n\tc\x00\x9b"), "ab c\\x00\\x9b")
        self.assertEqual(printable("caf\u00e9 \udc80\u2028"), "caf\u00e9 \\udc80")
        self.assert_line(ValueError("\x1b[31mred\x1b[0m\r\n"), "^red$")
        self.assert_line(ValueError(), "^ValueError$")

    def test_a_long_text_keeps_its_start_and_its_end(self) -> None:
        self.assert_line(ValueError("start " + "x" * 5000 + " end"), "^start x.* \\.\\.\\. .*x end$")

    def test_objects_that_pytorch_refuses_to_unpickle_are_named(self) -> None:
        advice = "Weights only load failed. \x1b[1mdo those steps only if you trust the source\x1b[0m. " + "advice " * 200
        error = pickle.UnpicklingError(
            advice + "WeightsUnpickler error: Unsupported global: GLOBAL a.b.C was not an allowed global by default. Please use"
        )
        self.assert_line(error, "^PyTorch refuses to unpickle it: Unsupported global: GLOBAL a.b.C was not an allowed global")

    def test_tensors_that_do_not_fit_are_counted_with_an_example(self) -> None:
        model = nn.Sequential(*(nn.Linear(2, 3) for _ in range(40)))
        error = raised(lambda: model.load_state_dict({"0.weight": torch.zeros(5, 2), "head": torch.zeros(1)}))
        self.assert_line(
            error,
            r"79 missing \(0\.bias, 1\.weight, \.\.\.\); 1 unexpected \(head\); 1 of another shape \(0\.weight: got \[?5, 2",
        )

    def test_the_hubs_answers_say_what_to_do(self) -> None:
        errors = huggingface_hub.errors
        self.assert_line(hub_error(errors.GatedRepoError, 403), "accepted: .*hf auth login")
        self.assert_line(hub_error(errors.RepositoryNotFoundError, 401), "no such repository, .*docs/models.md")
        self.assert_line(hub_error(errors.HfHubHTTPError, 503), "answers 503; try again later")
        self.assert_line(errors.OfflineModeIsEnabled("Cannot reach https://huggingface.co"), "the hub cannot be reached")


class Hub(unittest.TestCase):
    """Where the hub cannot be reached its libraries must not try for a minute."""

    def setUp(self) -> None:
        for patch in (mock.patch.object(hub.constants, "HF_HUB_OFFLINE", False), mock.patch.dict("os.environ")):
            patch.start()
            self.addCleanup(patch.stop)
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            os.environ.pop(name, None)
            os.environ.pop(name.upper(), None)

    def offline_after(self, endpoint: str) -> bool:
        with mock.patch.object(hub.constants, "ENDPOINT", endpoint):
            hub.use_cache_if_unreachable()
        return hub.constants.HF_HUB_OFFLINE

    def test_a_hub_that_does_not_answer_leaves_the_cache(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
            self.assertFalse(self.offline_after(endpoint))
        self.assertTrue(self.offline_after(endpoint))

    def test_behind_a_proxy_only_the_libraries_can_tell(self) -> None:
        os.environ["https_proxy"] = "http://proxy.example:3128"
        self.assertFalse(self.offline_after("http://127.0.0.1:1"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
