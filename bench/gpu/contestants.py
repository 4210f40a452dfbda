"""A process at the other end of a pipe that answers a JSON object in a line with one."""

import json
import queue
import subprocess
import threading


class Failed(Exception):
    """Something that was asked for cannot be had; the message says why."""


class Unavailable(Exception):
    """This machine or this bundle lacks what a step needs; the message says what."""


class Worker:
    """The process: `post` asks, `receive` takes the answers in the order of the questions, `ask` does both.

    It starts with the first question, and anew with the first after it ended. What it had loaded is then gone, which
    `generation` tells.
    """

    def __init__(self, name, command, log):
        self.name = name
        self.command = command
        self.log = log
        self.generation = 0
        self.process = None
        self.replies = None

    def _start(self):
        try:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, bufsize=1
            )
        except OSError as missing:
            raise Failed(f"{self.name} does not start: {missing}") from missing
        self.generation += 1
        self.replies = queue.Queue()
        threading.Thread(target=_read, args=(self.process.stdout, self.replies), daemon=True).start()

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def post(self, request):
        """Asks without waiting."""
        if not self.process:
            self._start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except OSError as broken:
            self.kill()
            raise Failed(f"{self.name} has ended: {broken}") from broken

    def receive(self, seconds):
        """The next answer. A worker that does not answer in time is ended, since its later answers would mislead."""
        if not self.process:
            raise Failed(f"{self.name} has ended")
        try:
            line = self.replies.get(timeout=max(0.1, seconds))
        except queue.Empty:
            self.kill()
            raise Failed(f"{self.name} did not answer within {seconds:.0f} s") from None
        if line is None:
            status = self.kill()
            raise Failed(f"{self.name} ended with status {status}")
        return json.loads(line)

    def ask_or_error(self, request, seconds):
        self.post(request)
        return self.receive(seconds)

    def ask(self, request, seconds):
        answer = self.ask_or_error(request, seconds)
        if "error" in answer:
            raise Failed(f"{self.name}, {request['command']}: {answer['error']}")
        return answer

    def kill(self):
        """Ends it at once; its status."""
        process, self.process = self.process, None
        process.kill()
        return process.wait()

    def end(self):
        """Asks for the end, and sees to it."""
        if self.process:
            try:
                self.post({"command": "QUIT"})
                self.process.wait(timeout=10)
            except (Failed, subprocess.TimeoutExpired):
                pass
            if self.process:
                self.kill()


def _read(lines, replies):
    for line in lines:
        replies.put(line)
    replies.put(None)
