"""Checkpoints that are not what was written: every bit of the manifest and of the shards' headers,
random bits of the payload, truncations, missing, doubled and swapped shards.

Required: `trireme checkpoint verify` refuses each and names the file; a sample of them goes through
a resume, which falls back to the older checkpoint and says why, or ends with 65 if there is none.
"""
import shutil
import subprocess

from harness import Failure, Run, checkpoint, committed, finish, job_text, model, safetensors_header

STEPS, EVERY = 20, 10


class Judge:
    """The verdict of `verify`, from one process for all questions."""

    def __init__(self, plant, folder):
        self.folder = folder
        self.process = subprocess.Popen([plant.build / "tests" / "checkpoint_judge", str(folder)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if (verdict := self.ask()) != "accepted":
            raise Failure(f"{folder} as it was written: {verdict}")

    def ask(self):
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def must_refuse(self, what, name):
        verdict = self.ask()
        if not verdict.startswith("refused:"):
            raise Failure(f"{what}: {verdict}")
        if name not in verdict:
            raise Failure(f"{what}: the refusal does not name {name}: {verdict}")

    def close(self):
        if (verdict := self.ask()) != "accepted":
            raise Failure(f"not put back as it was: {verdict}")
        self.process.stdin.close()
        self.process.wait()


def flip(path, byte, bit):
    with open(path, "r+b") as file:
        file.seek(byte)
        value = file.read(1)[0]
        file.seek(byte)
        file.write(bytes([value ^ 1 << bit]))


def flip_bits(judge, path, bits):
    for byte, bit in bits:
        flip(path, byte, bit)
        judge.must_refuse(f"{path.name}, bit {bit} of byte {byte} flipped", path.name)
        flip(path, byte, bit)
    return len(bits)


def truncate(judge, path, lengths):
    whole = path.read_bytes()
    for length in lengths:
        path.write_bytes(whole[:length])
        judge.must_refuse(f"{path.name} cut to {length} of {len(whole)} bytes", path.name)
    path.write_bytes(whole + b"\0")
    judge.must_refuse(f"{path.name} with a byte more", path.name)
    path.write_bytes(whole)
    path.chmod(0o600)
    return len(lengths) + 1


def shuffle(judge, folder, shards):
    """Missing, doubled, swapped; a surplus file; names that are no shard's."""
    done = 0
    aside = folder.parent / "aside"
    for path in [*shards, folder / "manifest.pb"]:
        path.rename(aside)
        judge.must_refuse(f"{path.name} missing", path.name if path in shards else "manifest.pb")
        path.symlink_to(aside)
        judge.must_refuse(f"{path.name} a symbolic link", path.name)
        path.unlink()
        path.mkdir()
        judge.must_refuse(f"{path.name} a folder", path.name)
        path.rmdir()
        aside.rename(path)
        done += 3
    for a in shards:
        for b in shards:
            if a is b:
                continue
            of_a, of_b = a.read_bytes(), b.read_bytes()
            a.write_bytes(of_b)
            judge.must_refuse(f"{b.name} doubled as {a.name}", a.name)
            if a.name < b.name:
                b.write_bytes(of_a)
                judge.must_refuse(f"{a.name} and {b.name} swapped", a.name)
                done += 1
            a.write_bytes(of_a)
            b.write_bytes(of_b)
            done += 1
    surplus = folder / f"shard-{len(shards):05d}.safetensors"
    shutil.copy(shards[0], surplus)
    judge.must_refuse("a shard too many", surplus.name)
    surplus.unlink()
    return done + 1


def fall_back(plant, source, job, damages, reference):
    """Resumes from a copy whose newest checkpoint is damaged: the older one serves, and it is told why."""
    for number, (what, damage) in enumerate(damages):
        folder = plant.folder(f"flips-resume-{number}") / "run"
        shutil.copytree(source, folder)
        steps = committed(folder)
        (folder / "model.safetensors").unlink(missing_ok=True)
        damage(checkpoint(folder, steps[-1]))
        run = finish(plant, folder, job, 2, reference, most_starts=1)
        if f"step-{steps[-1]:08d}" not in run.output():
            raise Failure(f"{what}: the resume does not say that it skipped step {steps[-1]}: {run.output()[-800:]}")
    return len(damages)


def none_is_left(plant, source, job):
    folder = plant.folder("flips-none") / "run"
    shutil.copytree(source, folder)
    (folder / "model.safetensors").unlink(missing_ok=True)
    for step in committed(folder):
        flip(checkpoint(folder, step) / "manifest.pb", 30, 3)
    run = Run(plant, folder, job, 2)
    code = run.wait()
    if code != 65 or len(run.lines()) != 1 or "manifest.pb" not in run.output():
        raise Failure(f"every checkpoint damaged: expects 65 and one line, got {code}: {run.output()[-800:]}")


def run(plant, count, short):
    base = plant.folder("flips") / "run"
    job = job_text(steps=STEPS, every=EVERY, keep=5)
    made = Run(plant, base, job, 2)
    if made.wait() != 0:
        raise Failure(made.output()[-1500:])
    steps = committed(base)
    folder = checkpoint(base, steps[-1])
    untouched = plant.folder("flips-untouched") / "run"
    shutil.copytree(base, untouched)
    shards = sorted(folder.glob("shard-*.safetensors"))
    manifest = folder / "manifest.pb"
    judge = Judge(plant, folder)
    pick = plant.dice

    def bits_of(length):
        every = [(byte, bit) for byte in range(length) for bit in range(8)]
        return pick.sample(every, min(len(every), 400)) if short else every

    manifest_bits = flip_bits(judge, manifest, bits_of(manifest.stat().st_size))
    header_bits = payload_bits = 0
    wanted = count or (400 if short else 10000)
    for shard in shards:
        _, header = safetensors_header(shard)
        header_bits += flip_bits(judge, shard, bits_of(header))
        size = shard.stat().st_size
        payload = [(pick.randrange(header, size), pick.randrange(8)) for _ in range(wanted // len(shards))]
        payload_bits += flip_bits(judge, shard, payload)
    cuts = 0
    for path in [manifest, *shards]:
        size = path.stat().st_size
        head = size if path is manifest else safetensors_header(path)[1]
        lengths = sorted({*range(head), *range(0, size, 4096), size - 1})
        cuts += truncate(judge, path, pick.sample(lengths, min(len(lengths), 60)) if short else lengths)
    moved = shuffle(judge, folder, shards)
    judge.close()

    size = shards[-1].stat().st_size
    damages = [("a bit of the manifest", lambda c: flip(c / "manifest.pb", 40, 2)),
               ("a bit of the payload", lambda c: flip(c / shards[-1].name, size - 3, 5)),
               ("a shard missing", lambda c: (c / shards[-1].name).unlink()),
               ("a shard cut short", lambda c: (c / shards[0].name).write_bytes(shards[0].read_bytes()[:-5])),
               ("no manifest", lambda c: (c / "manifest.pb").unlink())]
    resumed = fall_back(plant, untouched, job, damages[:2] if short else damages, model(untouched))
    none_is_left(plant, untouched, job)
    total = manifest_bits + header_bits + payload_bits + cuts + moved
    return (f"{manifest_bits} bits of the manifest, {header_bits} of headers, {payload_bits} of payload; "
            f"{cuts} truncations; {moved} missing, doubled, swapped, linked",
            f"refused with the file's name {total}/{total}; {resumed + 1} resumes fell back or ended with 65", "-")
