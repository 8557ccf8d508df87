"""The standard work: a made-up mission whose AOS frames each carry one packet of float32 parameters."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ground.loadtest.traffic import Traffic
from ground.mission import load_mission
from ground.xtce import read

MISSION: Final = "loadtest"
PARAMETERS: Final = 32
CONTAINERS: Final = 4

_FRAME_HEADER: Final = 8
"""Octets before the packet: primary header and header pointer (CCSDS 732.0-B-4, 4.1.2 and 4.1.4.2)."""

_PACKET_HEADER: Final = 14
"""Octets before the parameters: primary header (CCSDS 133.0-B-2, 4.1.3) and time, uint64 ns since 1970."""


class Work(Traffic):
    """Packets of so many float32 ``parameters``, of so many ``containers`` in turn, from ``epoch`` on, ns since 1970
    UTC. Others can load its definitions from what :meth:`write_mission` writes.
    """

    def __init__(
        self, epoch: int, parameters: int = PARAMETERS, containers: int = CONTAINERS, publishers: int = 1
    ) -> None:
        self.epoch = epoch
        self.parameters = parameters
        self.containers = containers
        with TemporaryDirectory() as folder:
            self.write_mission(Path(folder))
            mission = load_mission(str(Path(folder) / MISSION))
            super().__init__(mission, read.load(mission.telemetry), epoch, publishers)

    def write_mission(self, directory: Path) -> None:
        """See :func:`write_mission`."""
        write_mission(directory, self.parameters, self.containers)


def write_mission(directory: Path, parameters: int = PARAMETERS, containers: int = CONTAINERS) -> None:
    """Write the mission's folder into ``directory``: link, times, definitions."""
    folder = directory / MISSION
    folder.mkdir(parents=True)
    length = _FRAME_HEADER + _PACKET_HEADER + 4 * parameters + 2
    link = f"[link]\nlength = {length}\nspacecraft_id = 77\nfecf = true\n"
    time = '[[time.packet]]\noffset = 6\nlength = 8\nlsb = "1/1000000000"\n'
    text = f'title = "Load test"\ndescription = "Made-up telemetry of ground loadtest."\n{link}{time}'
    (folder / "mission.toml").write_text(text, "utf-8")
    (folder / "telemetry.xml").write_text(_definitions(parameters, containers), "utf-8")


def _definitions(parameters: int, containers: int) -> str:
    header = {"version": 3, "kind": 1, "secondary": 1, "apid": 11, "flags": 2, "count": 14, "size": 16}
    types = "".join(
        f'<IntegerParameterType name="u{width}" signed="false" sizeInBits="{width}">'
        f'<IntegerDataEncoding sizeInBits="{width}"/></IntegerParameterType>\n'
        for width in sorted({*header.values(), 64})
    )
    types += '<FloatParameterType name="f32"><FloatDataEncoding sizeInBits="32"/></FloatParameterType>\n'
    names = [f"p{number}" for number in range(parameters)]
    declared = [*((name, f"u{width}") for name, width in header.items()), ("onboard_time", "u64")]
    declared += [(name, "f32") for name in names]
    declarations = "".join(f'<Parameter name="{name}" parameterTypeRef="{kind}"/>\n' for name, kind in declared)
    root = "".join(f'<ParameterRefEntry parameterRef="{name}"/>\n' for name in header)
    entries = "".join(f'<ParameterRefEntry parameterRef="{name}"/>\n' for name in ("onboard_time", *names))
    concrete = "".join(
        f'<SequenceContainer name="Load{apid - 1}"><EntryList>\n{entries}</EntryList><BaseContainer '
        f'containerRef="Packet"><RestrictionCriteria><Comparison parameterRef="apid" value="{apid}"/>'
        "</RestrictionCriteria></BaseContainer></SequenceContainer>\n"
        for apid in range(1, containers + 1)
    )
    return (
        '<SpaceSystem xmlns="http://www.omg.org/spec/XTCE/20180204" name="LoadTest"><TelemetryMetaData>\n'
        f"<ParameterTypeSet>\n{types}</ParameterTypeSet><ParameterSet>\n{declarations}</ParameterSet><ContainerSet>\n"
        f'<SequenceContainer name="Packet" abstract="true"><EntryList>\n{root}</EntryList></SequenceContainer>\n'
        f"{concrete}</ContainerSet></TelemetryMetaData></SpaceSystem>\n"
    )
