"""SIGINT and SIGTERM end a command that has no state to save at once: exit 130, one line, nothing half written."""

import signal
import subprocess
import time

from program import PROGRAM, ROOT, ProgramTest, main


class Interrupts(ProgramTest):
    def start(self, *arguments: object, **more) -> subprocess.Popen:
        return subprocess.Popen([str(PROGRAM), *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **more)  # fmt: skip

    def check_ends(self, process: subprocess.Popen, number: int) -> None:
        process.send_signal(number)
        _, text = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130, text)
        self.assertEqual(text.count("\n"), 1, text)
        self.assertIn("interrupted", text)

    def test_synth_leaves_no_world_and_the_next_one_is_whole(self):
        out = self.folder / "world"
        process = self.start("synth", "--out", out, "--train", 100000, "--quiet")
        while not list(self.folder.glob("world.tmp-*/coco/train2017/*.png")):
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        self.check_ends(process, signal.SIGINT)
        self.assertFalse(out.exists())
        self.check_succeeds("synth", "--out", out, "--train", 1)
        self.assertEqual([path.name for path in self.folder.glob("world*")], ["world"])

    def test_a_command_that_waits_for_standard_input_ends_too(self):
        process = self.start("tokenize", "--bundle", "shapes-clip", stdin=subprocess.PIPE)
        process.stdin.write("a circle\n")
        process.stdin.flush()
        self.wait_for_handlers(process)
        self.check_ends(process, signal.SIGTERM)

    def test_embed_leaves_no_file(self):
        texts, out = self.folder / "texts.txt", self.folder / "embeddings.safetensors"
        texts.write_text("a red circle\n" * 400000)
        process = self.start("embed", "--clip", "shapes-clip", "--text", texts, "--out", out, "--threads", 1)
        self.wait_for_handlers(process)
        self.check_ends(process, signal.SIGINT)
        self.assertFalse(out.exists())

    def wait_for_handlers(self, process: subprocess.Popen) -> None:
        """Before them a signal still meets its default action."""
        wanted = 1 << (signal.SIGTERM - 1)
        while True:
            with open(f"/proc/{process.pid}/status") as status:
                caught = next(line for line in status if line.startswith("SigCgt:"))
            if int(caught.split()[1], 16) & wanted:
                return
            time.sleep(0.01)


if __name__ == "__main__":
    main()
