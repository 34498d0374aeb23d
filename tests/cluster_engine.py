"""The engine of a bank over a cluster in this process, with workers that are lost at will."""

from types import SimpleNamespace

import torch

from attractor.read import Read, separation_from, similarity_from


class RayTaskError(Exception):
    def __init__(self, cause):
        self.cause = cause


class Here:
    """The verbs of Ray, carried out at once.

    `trouble` says what happens to a call, by method and how often it came; `interrupt` what happens to the next that is waited for.
    """

    exceptions = SimpleNamespace(RayTaskError=RayTaskError)

    def __init__(self):
        self.trouble = {}
        self.called = {}
        self.given = {}
        self.interrupt = False
        self.killed = []
        self.groups = []
        strategies = SimpleNamespace(PlacementGroupSchedulingStrategy=lambda group, place: group[place])
        self.util = SimpleNamespace(
            placement_group=self.group, remove_placement_group=self.groups.remove, scheduling_strategies=strategies
        )

    def group(self, bundles, strategy):
        assert strategy == "SPREAD"
        self.groups.append(bundles)
        return bundles

    def cluster_resources(self):
        return {"CPU": 3.0}

    def remote(self, **options):
        assert options["max_restarts"] == options["max_task_retries"] == -1
        assert options["scheduling_strategy"] == {"CPU": options["num_cpus"]}
        return lambda kind: SimpleNamespace(remote=lambda *given: Worker(self, kind, given))

    def put(self, value):
        return value

    def is_initialized(self):
        return True

    def wait(self, answers, num_returns):
        assert num_returns == len(answers)
        if self.interrupt:
            self.interrupt = False
            raise KeyboardInterrupt
        return answers, []

    def get(self, answers):
        for answer in answers:
            if isinstance(answer, Exception):
                raise RayTaskError(answer)
        return answers

    def kill(self, worker):
        self.killed.append(worker)
        end(worker.shard)


def end(shard):
    """What the end of its process does."""
    for held in (vars(shard).get("disk"), shard._lock):
        if held is not None:
            held.close()


class Worker:
    def __init__(self, engine, kind, given):
        self.engine, self.start = engine, lambda: kind(*given)
        self.shard = self.start()

    def __getattr__(self, method):
        return SimpleNamespace(remote=lambda *given: self.answer(method, given))

    def answer(self, method, given):
        turn = self.engine.called[method] = self.engine.called.get(method, -1) + 1
        trouble = self.engine.trouble.get((method, turn))
        self.engine.given.setdefault(method, []).append(given)
        try:
            if trouble == "fails":
                raise OSError("the disk is full")
            answer = getattr(self.shard, method)(*given)
            if trouble == "is lost":  # after its work, before its answer: the task runs again
                end(self.shard)
                self.shard = self.start()
                answer = getattr(self.shard, method)(*given)
            return answer
        except Exception as error:
            return error


def rows(count, dim=4, seed=0, dtype=torch.float64):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def question(cues, separation=None, similarity="euclidean"):
    return Read(similarity_from({"name": similarity}), separation_from(separation or {"name": "softmax", "beta": 2.0}), cues)


def read_out(bank, read):
    return read.finish(bank.fold(read))
