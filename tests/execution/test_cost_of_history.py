"""What a night reads of the bookkeeping hardly grows with the nights that were loaded before it."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from databases import Database
from written_projects import deliver, loader

DOMAIN = """
hubs:
  Patient: {satellites: {Default: {name: text}, Contact: {phone: text}, Status: record_status}}
  Ward: {satellites: {Default: {name: text}}}
links:
  Stay: {references: {patient: Patient, ward: Ward}, status: true}
valuesets: {Names: {}}
validations:
  - {table: ward_sat, when: name = 'nobody', message: Nobody}
"""
PIPE = """
pipe: his
source_path: his
sor:
  patient_hstage: {csv: patients.csv, key: [nr], columns: [nr, name, phone, ward]}
  ward_hstage: {csv: wards.csv, key: [nr], columns: [nr, name]}
validations:
  - {table: ward_hstage, when: name = 'nowhere', message: Nowhere}
entities:
  - {from: patient_hstage, to: Patient, bk: nr, fields: {Default.name: name}, name: names}
  - from:
      table: patient_hstage
      join: join sor_his.ward_hstage w on w.nr = s.ward and w._active
      reads: [sor_his.ward_hstage]
    to: Patient
    bk: s.nr
    fields: {Contact.phone: s.phone || w.name}
    name: phones
  - {from: ward_hstage, to: Ward, bk: nr, fields: {Default.name: name}}
links:
  - {from: patient_hstage, to: Stay, references: {patient: nr, ward: ward}}
valuesets:
  - {from: patient_hstage, to: Names, fields: {valueset_naam: "'n'", code: nr, omschrijving: name}}
"""
MODELS = {
    "datamarts__people___sql": "-- materialized: table\n"
    "select p.bk, s.name, c.phone from dv.patient_hub p join dv.patient_sat s on s._id = p._id and s._active "
    "join dv.patient_sat_contact c on c._id = p._id and c._active",
    "datamarts__names___sql": "-- materialized: incremental\n-- unique_key: bk\n"
    "select p.bk, s.name from dv.ward_hub p join dv.ward_sat s on s._id = p._id and s._active",
}
MAPPINGS = 5
NIGHTS = 18
EARLY = 5
FIRST_DAY = date(2026, 1, 1)


def test_what_was_written_long_ago_is_not_looked_at_again(warehouse: Database, tmp_path: Path) -> None:
    load = loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, **MODELS)
    warehouse.as_dba(f"alter database {warehouse.name} set enable_seqscan = off")  # as in bookkeeping of years
    read: list[dict[str, int]] = []
    for night in range(NIGHTS):
        day = FIRST_DAY + timedelta(days=night)
        rows = "".join(f"{n},{'abc'[(n + night) % 3]},{night},{(n + night) % 3}\n" for n in range(6))
        deliver(tmp_path, "nr,name,phone,ward\n" + rows)
        deliver(tmp_path, "nr,name\n" + "".join(f"{n},w{night}\n" for n in range(3)), "his/wards.csv")
        before = _read(warehouse)
        load.run(day)
        read.append({table: rows - before.get(table, 0) for table, rows in _read(warehouse).items()})

    early, late = read[EARLY], read[-1]
    assert late["writes"] > 0
    for table in ("writes", "horizons", "steps", "attempts", "mapping_states"):
        assert late[table] <= early[table], table
    # Each mapping looks which of its pipe's loads it has seen, each stage whether a later run was there: a row for each of
    # them, and nothing that multiplies.
    nights = len(read) - 1 - EARLY
    assert late["positions"] - early["positions"] == MAPPINGS * nights
    assert sum(late.values()) - sum(early.values()) <= 50 * nights


def _read(warehouse: Database) -> dict[str, int]:
    """The rows read so far of each table of the bookkeeping."""
    return {
        str(table): int(rows)
        for table, rows in warehouse.rows(
            "select relname, seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables where schemaname = 'sys'"
        )
    }
