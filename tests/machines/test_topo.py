# SPDX-License-Identifier: MIT
"""gcorn-topo from outside: reports, JSON, pictures, exit codes.

GCORN_TOPO is the program, GCORN_MACHINES the folder of reference machines
(without it only the emulated ones in data/ are looked at). GCORN_GOLDEN=write writes the
expected reports anew.
"""
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

import sysroot

HERE = pathlib.Path(__file__).parent
TOPO = os.environ.get("GCORN_TOPO",
                      str(HERE / "../../build/tools/topo/gcorn-topo"))
MACHINES = pathlib.Path(os.environ.get("GCORN_MACHINES", "/nonexistent"))
FILES = sorted({file.name: file for folder in (HERE / "data", MACHINES)
                for file in folder.glob("*.xml")}.values())
SCHEMA = json.loads((HERE / "../../tools/topo/schema.json").read_text())

GOLDEN = [
    "arm-2c-274mb", "dgx-spark-gb10", "epyc-7401-2s-8n",
    "knl-7250-snc4-flat", "opteron-865-cgroup1-disallowed",
    "power9-gpunodes", "qemu-asym-memory", "raptorlake-1370p-hybrid",
    "threadripper-2990wx-memless", "uv2-24s-24n", "xeon-2600-offlines",
    "xeon-6230-hmat-initiators",
]



def topo(*args, code=0, env=None):
    run = subprocess.run([TOPO, *map(str, args)], capture_output=True,
                         text=True, timeout=60,
                         env={**os.environ, **(env or {})})
    assert run.returncode == code, (run.returncode, run.stderr)
    return run.stdout


def report(*args):
    return json.loads(topo("--json", *args))


def checks(*args):
    return {check["id"]: check for check in report(*args)["checks"]}


def violations(value, schema, path="$"):
    """What is wrong with the value, for the part of JSON Schema we use."""
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool,
             "null": type(None), "integer": int, "number": float}
    allowed = schema.get("type", list(kinds))
    allowed = [allowed] if isinstance(allowed, str) else allowed
    if not any(type(value) is kinds[kind] for kind in allowed):
        yield f"{path} is {value!r}, not {allowed}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} is {value!r}, not one of {schema['enum']}"
    if isinstance(value, dict):
        for key in set(schema.get("required", [])) - set(value):
            yield f"{path}.{key} is missing"
        for key, part in value.items():
            if key not in schema.get("properties", {}):
                yield f"{path}.{key} is not in the schema"
            else:
                yield from violations(part, schema["properties"][key],
                                      f"{path}.{key}")
    if isinstance(value, list) and "items" in schema:
        for index, part in enumerate(value):
            yield from violations(part, schema["items"], f"{path}[{index}]")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_machine_can_be_shown(file):
    for width in (80, 120):
        text = topo("--xml", file, "--width", width)
        lines = text.splitlines()
        assert all(line == line.rstrip() for line in lines)
        for line in lines[1:]:
            assert len(line) <= width, line
        assert "\033" not in text
        assert re.search(r"^Plan +\d+ worker", text, re.M)
    data = report("--xml", file)
    assert list(violations(data, SCHEMA)) == []
    assert len(data["plan"]["placement"]) == data["plan"]["workers"]


@pytest.mark.parametrize("name", GOLDEN)
def test_reports_are_as_expected(name):
    file = next((file for file in FILES if file.stem == name), None)
    if not file:
        pytest.skip(f"SKIPPED: no reference machines in {MACHINES}")
    text = topo("--xml", file, "--width", 100)
    text = text.split("\n", 1)[1]
    golden = HERE / "golden" / f"{name}.txt"
    if os.environ.get("GCORN_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


def test_this_machine():
    data = report()
    assert list(violations(data, SCHEMA)) == []
    assert data["source"]["kind"] == "live"
    assert data["cpu"]["pus_usable"] == len(os.sched_getaffinity(0))
    assert data["host"]["kernel"] == os.uname().release
    assert "Kernel" in topo("--all")


def test_plan_only_and_what_if():
    text = "[numa(memory=8589934592)] pack:1 core:8 pu:2"
    out = topo("--synthetic", text, "--plan", "--worker-memory", "2G")
    assert re.search(r"^Plan +3 workers \(bound by memory", out, re.M)
    assert "Production Tier" not in out
    plan = report("--synthetic", text, "--quota", "2.5")["plan"]
    assert (plan["workers"], plan["bound"], plan["pin"]) == (2, "quota", "off")
    plan = report("--synthetic", text, "--mem-limit", "600M",
                  "--worker-memory", "100M")["plan"]
    assert (plan["workers"], plan["bound"]) == (4, "memory")
    plan = report("--synthetic", text, "--workers", "12", "--pin", "l3")["plan"]
    assert (plan["workers"], plan["pin"]) == (12, "l3")


@pytest.mark.parametrize("args", [
    ["--what"], ["--width", "20"], ["--workers", "0"], ["--workers", "70000"],
    ["--worker-memory", "0"], ["--worker-memory", "1X"],
    ["--worker-memory", "-1"], ["--pin", "yes"], ["--quota", "0"],
    ["--safety", "101"], ["--color", "red"], ["extra"],
    ["--xml", "a", "--synthetic", "b"], ["--xml", "a", "--bench-io", "/tmp"],
])
def test_bad_usage_is_2(args):
    topo(*args, code=2)


def test_unreadable_input_is_4(tmp_path):
    other = tmp_path / "other.xml"
    other.write_text("<html></html>")
    topo("--xml", tmp_path / "missing.xml", code=4)
    topo("--xml", other, code=4)
    topo("--synthetic", "nonsense", code=4)


def test_colors_respect_the_operator():
    machine = ["--synthetic", "core:2 pu:1"]
    assert "\033[" in topo(*machine, "--color", "always")
    assert "\033[" not in topo(*machine)
    assert "\033[" in topo(*machine, "--color", "always",
                           env={"NO_COLOR": "1"})


def test_a_good_server_passes_what_can_be_read(tmp_path):
    sysroot.build(tmp_path)
    source = ["--sysroot", tmp_path]
    data = report(*source)
    assert list(violations(data, SCHEMA)) == []
    assert data["cpu"]["model"] == sysroot.MODEL
    assert data["cpu"]["base_mhz"] == {
        "value": 3250, "source": "acpi_cppc", "confidence": "reported"}
    assert (data["cpu"]["cores"], data["cpu"]["l3_count"]) == (32, 8)
    assert data["plan"]["workers"] == 30
    assert data["plan"]["reserved_cores"] == [0, 4]
    assert len(data["memory"]["dimms"]) == 8
    assert data["memory"]["dimms"][0] == {
        "type": "DDR5", "rdimm": True, "ecc": True, "mts": 4800,
        "bytes": 32 << 30}
    status = {check["id"]: check["status"] for check in data["checks"]
              if check["group"] == "tier"}
    # Drivers are not asked through a directory.
    asked = {"net.tso", "net.queues", "disk.iops"}
    assert {key for key, value in status.items() if value == "unknown"} == asked
    assert {status[key] for key in status.keys() - asked} == {"pass"}
    topo(*source, "--check", code=3)
    topo(*source, "--check", "--strict", code=1)
    topo(*source, "--strict")


def test_devices_of_a_server(tmp_path):
    sysroot.build(tmp_path)
    data = report("--sysroot", tmp_path)
    assert [nic["name"] for nic in data["net"]] == ["eth0", "eth1"]
    assert data["net"][0]["driver"] == "ice"
    assert data["net"][0]["irqs"] == [{"irq": 40, "cpus": "0-63"}]
    disks = {disk["name"]: disk for disk in data["disks"]}
    assert "loop0" not in disks
    assert [name for name, disk in disks.items() if disk["boot"]] == [
        "nvme0n1"]
    assert disks["nvme3n1"]["raid"] == "md127"
    assert disks["nvme0n1"]["raid"] is None
    assert disks["nvme0n1"]["pcie_gts"] == 16


def test_fixes_are_commands(tmp_path):
    sysroot.build(tmp_path)
    fixes = topo("--sysroot", tmp_path, "--fixes")
    assert "sysctl -w net.core.somaxconn=4096" in fixes
    assert "swappiness" not in fixes
    assert "echo 0,4,32,36 > /proc/irq/$i/smp_affinity_list" in fixes
    run = subprocess.run(["sh", "-n"], input=fixes, text=True)
    assert run.returncode == 0


def test_how_processors_are_run(tmp_path):
    tree = sysroot.build(tmp_path)
    found = checks("--sysroot", tmp_path)
    assert found["cpu.governor"]["status"] == "warn"
    assert found["cpu.governor"]["found"] == "powersave, prefers power"
    assert found["cpu.boost"]["status"] == "warn"
    assert found["cpu.boost"]["remedy"].startswith("echo 1 > ")
    # The deepest one is switched off.
    assert found["cpu.idle"]["found"] == "100 us (C2)"
    assert found["cpu.idle"]["status"] == found["cpu.smt"]["status"] == "pass"
    assert "cpu.isolated" not in found
    assert found["irq.affinity"]["found"] == "eth0: 1 of 1 may go elsewhere"
    assert found["disk.data"]["found"] == (
        "md127 raid10, 7680 GB, 4 x NVMe, PCIe 4.0")
    base = "/sys/devices/system/cpu"
    tree.put(f"{base}/cpu0/cpufreq/energy_performance_preference",
             "balance_performance")
    tree.put(f"{base}/cpu0/cpuidle/state3/disable", 0)
    for irq in (40, 41):
        tree.put(f"/proc/irq/{irq}/smp_affinity_list", "0,32")
    found = checks("--sysroot", tmp_path)
    assert found["cpu.governor"]["status"] == "pass"
    assert found["cpu.idle"]["found"] == "800 us (C3)"
    assert found["cpu.idle"]["status"] == "warn"
    assert "irq.affinity" not in found


def test_confidence_is_told(tmp_path):
    sysroot.build(tmp_path)
    found = checks("--sysroot", tmp_path)
    assert found["cpu.cores"]["confidence"] == "reported"
    assert found["disk.iops"]["confidence"] == "unknown"
    file = next(file for file in FILES if "epyc-7402" in file.name or
                "2n8c2t" in file.name)
    assert checks("--xml", file)["mem.size"]["confidence"] == "inferred"


def test_slow_memory_fails(tmp_path):
    sysroot.build(tmp_path, memory_type=0x1a, speed=3200)
    found = checks("--sysroot", tmp_path)
    assert found["mem.type"]["status"] == "fail"
    assert found["mem.type"]["found"] == "DDR4 RDIMM"
    assert found["mem.speed"]["status"] == "fail"
    topo("--sysroot", tmp_path, "--check", code=1)


def test_a_guest_proves_nothing(tmp_path):
    sysroot.build(tmp_path, hypervisor=True)
    found = checks("--sysroot", tmp_path)
    for key in ("cpu.cores", "cpu.generation", "cpu.base_clock", "cpu.l3",
                "mem.type", "mem.speed", "mem.ecc"):
        assert found[key]["status"] == "unknown", key
    text = topo("--sysroot", tmp_path)
    assert "kvm: caches, clock" in text
    assert "not gradable" in text


def test_limits_of_all_ancestors_count(tmp_path):
    sysroot.build(tmp_path, quota="250000", memory_max=str(1 << 30))
    data = report("--sysroot", tmp_path)
    assert data["limits"]["cpu_quota"] == 2.5
    assert data["limits"]["cpu_quota_cgroup"] == "/web.slice"
    assert data["limits"]["memory_max_bytes"] == 1 << 30
    assert data["plan"]["workers"] == 2
    assert data["plan"]["pin"] == "off"


def test_unreadable_firmware_is_unknown(tmp_path):
    tree = sysroot.build(tmp_path)
    (tmp_path / "sys/firmware/dmi/tables/DMI").unlink()
    assert checks("--sysroot", tmp_path)["mem.type"]["status"] == "unknown"
    for index in range(8):
        dimm = f"/sys/devices/system/edac/mc/mc0/dimm{index}"
        tree.put(f"{dimm}/size", 32 << 10)
        tree.put(f"{dimm}/dimm_mem_type", "Registered-DDR5")
        tree.put(f"{dimm}/dimm_edac_mode", "S4ECD4ED")
    found = checks("--sysroot", tmp_path)
    assert found["mem.type"]["status"] == "pass"
    assert found["mem.ecc"]["status"] == "pass"
    assert found["mem.speed"]["status"] == "unknown"


def svg_tiles(text):
    root = ElementTree.fromstring(text)
    tag = "{http://www.w3.org/2000/svg}"
    return [text for text in root.iter(tag + "text")
            if text.get("class") == "tile"], root


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_machine_can_be_drawn(file):
    tiles, root = svg_tiles(topo("--xml", file, "--svg", "-"))
    data = report("--xml", file)
    assert len(tiles) == data["cpu"]["cores"]
    workers = [tile.text for tile in tiles if (tile.text or "")[:1] == "w"]
    assert len(workers) == data["plan"]["workers"]
    height = int(root.get("height"))
    for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
        y, h = int(rect.get("y", 0)), int(rect.get("height"))
        x, w = int(rect.get("x", 0)), int(rect.get("width"))
        assert 0 <= y and y + h <= height
        assert 0 <= x and x + w <= int(root.get("width"))


def test_names_cannot_become_tags(tmp_path):
    sysroot.build(tmp_path, hostname="<script>&")
    page = topo("--sysroot", tmp_path, "--html", "-")
    assert "<script>" not in page
    assert "&lt;script&gt;&amp;" in page


def png_size(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


@pytest.mark.skipif(not shutil.which("chromium"),
                    reason="SKIPPED: no chromium to render with")
def test_a_browser_draws_the_page(tmp_path):
    root = tmp_path / "root"
    sysroot.build(root)
    page, shot = tmp_path / "page.html", tmp_path / "page.png"
    topo("--sysroot", root, "--html", page)
    run = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu",
         "--dump-dom", f"--user-data-dir={tmp_path / 'profile'}",
         page.as_uri()], capture_output=True, text=True, timeout=120)
    assert run.stdout.count('class="tile"') == sysroot.CORES
    subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu",
         "--window-size=1300,1600", f"--screenshot={shot}",
         f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()],
        capture_output=True, timeout=120, check=True)
    assert png_size(shot) == (1300, 1600)
    assert shot.stat().st_size > 50_000


@pytest.mark.parametrize("directory", ["/nonexistent", "/proc"])
def test_a_place_that_cannot_be_measured_is_4(directory):
    topo("--bench-io", directory, code=4)
