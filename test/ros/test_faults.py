"""Each fault over real DDS: when it is reported, what the robot does meanwhile, and when good chunks come again."""

import fault_table
import pytest
from fault_list import FAULTS, HEARTBEAT_TOPIC, PARAMETERS
from fault_walk import PatientRobot, Walk
from harness import PolicyProcess, parameters

NAMESPACE = "/faults"
# What was measured in this run, in the order of the list.
ROWS = []


@pytest.fixture(scope="module")
def walk(context, checkpoint, tmp_path_factory):
    directory = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(directory))
        robot = PatientRobot(context, NAMESPACE, compressed=("wrist",))
        node = PolicyProcess(directory, parameters(checkpoint, use_sim_time=True, **PARAMETERS), namespace=NAMESPACE)
        walk = Walk(node, robot, HEARTBEAT_TOPIC)
        robot.wait_for_state("active")
        robot.wait_until_connected()
        robot.send_clock()
        yield walk
        walk.close()
        node.end()
        robot.close()
        print(f"--- {node.node}\n{node.log}")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.code}: {fault.name}")
def test_fault(fault, walk, request):
    row = walk.measure(fault)
    ROWS.append(row)
    assert row.reaction == fault.reaction
    assert row.recovery <= fault.recovery
    # Within one control tick, or within the age and one tick.
    assert row.ticks <= max(1, fault.ticks)
    if not request.config.getoption("--write"):
        assert fault_table.line(row) in fault_table.PAGE.read_text().splitlines()


def test_docs_faults_md_has_each_fault_and_names_where_the_other_codes_are_tested(request):
    """Runs after the others: with `--write` it writes what they measured."""
    if request.config.getoption("--write"):
        assert [row.fault for row in ROWS] == FAULTS
        fault_table.PAGE.write_text(fault_table.page(ROWS))
    lines = fault_table.PAGE.read_text().splitlines()
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines if " | " in line][1 : len(FAULTS) + 1] == [f.name for f in FAULTS]
    elsewhere = {code: file for file, names in fault_table.ELSEWHERE.items() for code in names}
    assert elsewhere.keys() | {fault.code for fault in FAULTS} == fault_table.codes()
    for code, file in elsewhere.items():
        assert code in (fault_table.ROOT / file).read_text(), (code, file)
