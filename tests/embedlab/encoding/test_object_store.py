"""Vectors in an object store, from the command line: moto's S3 server on this machine, with
connections that are cut, objects that are damaged, and permissions that lack.
"""

import json
import logging
import os
import signal

import pytest

from embedlab import json_cache
from embedlab.encoding import batches
from embedlab.encoding.vectors import object_store, remote_upkeep
from leaderboard.storage.store import Store
from tests import ready
from tests.beir_folder import write_beir
from tests.embedlab.encoding.cutting_proxy import CuttingProxy

SECRET = "very/secret+key"
# As the command line, but with more shards than a few texts would have.
PROGRAM = """
import os, signal, sys
from embedlab import cli
from embedlab import json_cache
from embedlab.encoding import batches
from embedlab.encoding.vectors.object_store import ObjectStore
batches.SHARD_CHARACTERS = 500
put, left = ObjectStore.put, iter(range(int(sys.argv.pop(1))))
def dying(*arguments):
    put(*arguments)
    if next(left, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
ObjectStore.put = dying
cli.run()
"""


@pytest.fixture(scope="module")
def port():
    """Of a server with an empty S3."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture(scope="module")
def corner(tmp_path_factory):
    return write_beir(
        tmp_path_factory.mktemp("beir") / "corner", [f"w{n}" for n in range(200)], 40, 5
    )


@pytest.fixture
def s3(port, monkeypatch):
    """A client of an empty bucket, in which the vectors are."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "EMBEDLAB_VECTORS": "s3://vectors/of/all",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(batches, "SHARD_CHARACTERS", 500)
    monkeypatch.setattr(object_store, "_WAITS", (0.0,))
    object_store.opened.cache_clear()
    client = boto3.client("s3")
    client.create_bucket(Bucket="vectors")
    yield client
    for key in keys(client):
        client.delete_object(Bucket="vectors", Key=key)
    object_store.opened.cache_clear()


def keys(s3, end=""):
    listed = s3.list_objects_v2(Bucket="vectors").get("Contents", [])
    return [each["Key"] for each in listed if each["Key"].endswith(end)]


@pytest.fixture
def on(tmp_path, monkeypatch, cli, tiny_folder, corner):
    """Evaluate on a machine, an EMBEDLAB_HOME of its own, from an empty results store:
    exit code, scores with the ranking's, texts encoded, standard error.
    """

    def evaluate(machine):
        home = tmp_path / machine
        monkeypatch.setenv("EMBEDLAB_HOME", str(home))
        (home / "results.duckdb").unlink(missing_ok=True)
        code, out, err = cli(*words(tiny_folder, corner))
        if code:
            return code, None, 0, err
        (run,) = json.loads(out)["runs"]
        ranking = Store(home / "results.duckdb").ranking(run["run_id"])
        costs = Store(home / "results.duckdb").run(run["run_id"]).costs
        encoded = sum(number for name, number in costs.items() if "encoded_now_texts" in name)
        return code, (run["scores"], ranking.scores.tobytes()), encoded, err

    return evaluate


def words(model, task):
    return [
        "eval", "--model", model, "--task", task, "--index", "torch", "--device", "cpu", "--json",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def known():
    """What was found out once for all tests."""
    return {}


@pytest.fixture
def undisturbed(on, monkeypatch, known):
    """Scores with the vectors in a folder, and how many texts there are."""
    if not known:
        with monkeypatch.context() as patch:
            patch.delenv("EMBEDLAB_VECTORS", raising=False)
            known["found"] = on("undisturbed")[1:3]
    return known["found"]


@pytest.mark.parametrize("address", ["s3://vectors/of/all", " s3://vectors//of/all/ "])
def test_another_machine_encodes_nothing(s3, on, undisturbed, address, monkeypatch):
    monkeypatch.setenv("EMBEDLAB_VECTORS", address)
    assert on("one")[:3] == (0, *undisturbed)
    assert len(keys(s3, ".keys.npy")) == len(keys(s3, ".json")) - 2 > 5
    stored = keys(s3)
    assert on("two")[:3] == (0, undisturbed[0], 0)
    assert keys(s3) == stored


def test_a_folder_of_a_shared_disk_serves_two_machines(on, undisturbed, monkeypatch, tmp_path):
    monkeypatch.setenv("EMBEDLAB_VECTORS", str(tmp_path / "shared"))
    assert on("one")[:3] == (0, *undisturbed) and not (tmp_path / "one/vectors").exists()
    assert (
        on("two")[:3] == (0, undisturbed[0], 0) and len(list((tmp_path / "shared").iterdir())) == 2
    )


def test_another_machine_goes_on_where_one_was_killed(
    s3, on, undisturbed, tiny_folder, corner, tmp_path
):
    environment = {**os.environ, "EMBEDLAB_HOME": str(tmp_path / "killed")}
    killed = ready.run("-c", PROGRAM, 10, *words(tiny_folder, corner), env=environment)
    assert killed.returncode == -signal.SIGKILL
    done = len(keys(s3, ".json")) - len(keys(s3, "manifest.json"))
    assert 0 < done < 6
    code, scores, encoded, err = on("other")
    assert (code, scores) == (0, undisturbed[0]) and 0 < encoded < undisturbed[1]
    assert "damaged" not in err  # a record without its files
    # What was made here and had not gone there goes now; nothing is made twice.
    code, scores, encoded, err = on("killed")
    assert (code, scores, encoded) == (0, undisturbed[0], 0) and "only here" in err


def test_cut_connections_change_nothing(s3, port, on, undisturbed, monkeypatch):
    proxy = CuttingProxy(port, every=3)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
    assert on("one")[:3] == (0, *undisturbed) and proxy.cuts > 5
    cuts = proxy.cuts
    assert on("two")[:3] == (0, undisturbed[0], 0) and proxy.cuts > cuts
    proxy.close()


def test_what_never_comes_through_is_one_error_and_is_made_up_for(
    s3, port, on, undisturbed, monkeypatch
):
    proxy = CuttingProxy(port, every=0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
    put = object_store.ObjectStore.put
    left = iter(range(8))

    def cutting(*arguments):
        proxy.every = 0 if next(left, None) is not None else 1
        put(*arguments)

    monkeypatch.setattr(object_store.ObjectStore, "put", cutting)
    monkeypatch.setattr(object_store, "_WAITS", ())
    code, _, _, err = on("one")
    assert code == 2 and one_error(err, "s3://vectors/of/all cannot be written")
    assert len(keys(s3, ".json")) > 1

    monkeypatch.setattr(object_store.ObjectStore, "put", put)
    proxy.every = 0
    code, scores, encoded, _ = on("one")
    assert (code, scores) == (0, undisturbed[0]) and 0 < encoded < undisturbed[1]
    proxy.every = 1
    code, _, _, err = on("two")
    assert code == 2 and one_error(err, "s3://vectors/of/all cannot be read")
    proxy.close()


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "record"])
def test_a_damaged_object_is_encoded_again(s3, on, undisturbed, damage):
    on("one")
    victim = keys(s3, ".json" if damage == "record" else ".dense.npy")[0]
    content = s3.get_object(Bucket="vectors", Key=victim)["Body"].read()
    if damage == "gone":
        s3.delete_object(Bucket="vectors", Key=victim)
    else:
        changed = content[:-1] + bytes([content[-1] ^ 1])
        s3.put_object(
            Bucket="vectors", Key=victim, Body=changed[:-4] if damage == "cut" else changed
        )
    code, scores, encoded, err = on("two")
    assert (code, scores) == (0, undisturbed[0]) and 0 < encoded < undisturbed[1]
    assert victim.removeprefix("of/all/") in err and "damaged" in err
    code, scores, encoded, err = on("three")  # it finds what the second has made
    assert (code, scores, encoded) == (0, undisturbed[0], 0) and "damaged" not in err


def test_a_record_of_somebody_else_writes_nowhere_but_in_its_folder(s3, on, tmp_path):
    on("one")
    record = keys(s3, ".json")[0]
    content = s3.get_object(Bucket="vectors", Key=record)["Body"].read()
    fields = json_cache.parse(content)
    fields["files"]["../../../outside"] = fields["files"]["dense"]
    json_cache.write(tmp_path / "made", fields)
    s3.put_object(Bucket="vectors", Key=record, Body=(tmp_path / "made").read_bytes())
    outside = record.replace(".json", ".../../../outside.npy")
    s3.copy_object(Bucket="vectors", Key=outside, CopySource=f"vectors/{keys(s3, '.dense.npy')[0]}")
    code, _, encoded, err = on("two")
    assert code == 0 and encoded > 0 and "is damaged" in err
    assert not list(tmp_path.rglob("outside.npy"))


def test_a_full_disk_of_one_machine_is_named_and_costs_nothing(s3, on, undisturbed, monkeypatch):
    on("one")
    with monkeypatch.context() as patch:
        patch.setattr("s3fs.S3FileSystem._get_file", full)
        code, _, _, err = on("two")
    assert code == 2 and one_error(err, "two/vectors")
    assert "No space left on device" in err
    assert on("two")[:3] == (0, undisturbed[0], 0)


async def full(*_, **__):
    raise OSError(28, "No space left on device")


@pytest.mark.effect("cache prune --remote")
def test_cache_and_doctor_know_the_store(s3, on, cli, undisturbed, monkeypatch, tmp_path):
    on("one")
    monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path / "empty"))
    spaces = json.loads(cli("cache", "ls", "--json")[1])["spaces"]
    assert sum(space["texts"] for space in spaces) == undisturbed[1]
    assert all(space["remote_bytes"] > 1000 and space["bytes"] == 0 for space in spaces)
    assert "s3://vectors/of/all holds the vectors" in cli("cache", "ls")[1]
    assert cli("cache", "verify")[0] == 0
    findings = json.loads(cli("doctor", "--json")[1])["findings"]
    (found,) = [each for each in findings if each["subject"] == "EMBEDLAB_VECTORS"]
    assert found["state"] == "ok" and "read and written" in found["detail"]
    stored = keys(s3)
    assert cli("cache", "prune")[0] == 0 and keys(s3) == stored
    assert cli("cache", "prune", "--remote")[0] == 0 and keys(s3) == stored
    s3.put_object(Bucket="vectors", Key=f"{stored[0].rpartition('/')[0]}/0.npy", Body=b"left")
    assert cli("cache", "prune", "--remote")[0] == 0 and len(keys(s3)) > len(stored)
    s3.put_object(Bucket="vectors", Key="of/all/mine/weights.npy", Body=b"not embedlab's")
    with monkeypatch.context() as patch:  # it may be on its way for a day
        patch.setattr(remote_upkeep, "_ABANDONED", -5.0)
        assert cli("cache", "prune", "--remote")[0] == 0
    assert {*keys(s3)} - {*stored} == {"of/all/mine/weights.npy"}
    s3.delete_object(Bucket="vectors", Key="of/all/mine/weights.npy")
    assert keys(s3) == stored
    s3.delete_object(Bucket="vectors", Key=keys(s3, ".dense.npy")[0])
    code, out, _ = cli("cache", "verify")
    assert code == 1 and "dense.npy is missing" in out
    assert cli("cache", "prune", "--remote", "--model", "tiny")[0] == 0 and not keys(s3)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    object_store.opened.cache_clear()
    assert "cannot be read" in cli("cache", "ls")[1]
    monkeypatch.delenv("EMBEDLAB_VECTORS")
    code, _, err = cli("cache", "prune", "--remote")
    assert code == 2 and "EMBEDLAB_VECTORS names none" in err


@pytest.fixture
def user(s3, monkeypatch):
    """Be a user with rights to these actions alone."""
    import boto3

    with monkeypatch.context() as patch:

        def be(*actions):
            iam, name = boto3.client("iam"), f"user{len(actions)}"
            iam.create_user(UserName=name)
            allowed = {"Effect": "Allow", "Action": [*actions], "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy)
            key = iam.create_access_key(UserName=name)["AccessKey"]
            patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
            patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
            patch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
            object_store.opened.cache_clear()

        yield be


def test_who_may_only_read_reads_and_is_told_what_he_may_not(s3, on, undisturbed, user):
    on("one")
    gone = keys(s3, ".dense.npy")[0]
    user("s3:ListBucket", "s3:GetObject")
    assert on("reader")[:3] == (0, undisturbed[0], 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", float("inf"))
        s3.delete_object(Bucket="vectors", Key=gone)
    code, _, _, err = on("another")
    assert code == 2 and one_error(err, "s3://vectors/of/all may not be written")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": None}, "There are no credentials for s3://vectors/of/all"),
        ({"EMBEDLAB_VECTORS": "s3://nowhere/x"}, "There is no bucket for s3://nowhere/x"),
        ({"EMBEDLAB_VECTORS": "s3:/vectors"}, "s3:/vectors is no address of an object store"),
        ({"EMBEDLAB_VECTORS": f"s3://me:{SECRET}@vectors"}, "Keys stand in the environment"),
        ({"EMBEDLAB_VECTORS": "s4://vectors"}, "no store is known for s4://"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "s3://vectors/of/all cannot be read"),
        ({"AWS_ENDPOINT_URL": "127.0.0.1:1"}, "or its endpoint is no address"),
    ],
)
def test_what_is_wrong_with_a_store_is_said_before_anything_is_encoded(
    s3, on, monkeypatch, variables, words
):
    for name, value in variables.items():
        if value is None:
            monkeypatch.delenv(name)
            monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        else:
            monkeypatch.setenv(name, value)
    code, _, _, err = on("one")
    assert code == 2 and one_error(err, words)


def one_error(err, words):
    return words in err and "Traceback" not in err and SECRET not in err and err.count("Error") == 1
