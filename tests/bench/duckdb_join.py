#!/usr/bin/env python3
# tests/bench/duckdb_join.py -- the same join in DuckDB, and what both joins named
# SPDX-License-Identifier: Apache-2.0
"""
usage: duckdb_join.py join FLOWS TABLE OUT    joins Hubble lines with a table of answers
       duckdb_join.py compare OURS DUCKDB     counts flows by what the two outputs say of them

The table is loaded first, which is not counted. The join is as quick as DuckDB has it: the types of
the members are given, so that nothing is guessed, rows need not stay in order, columns are flat.
Prints 'name value' pairs; CPU seconds are of the counted part."""

import os
import sys
import time

import duckdb

FLOW = """STRUCT(
    time TIMESTAMP, verdict VARCHAR, IP STRUCT(source VARCHAR, destination VARCHAR),
    l4 STRUCT(TCP STRUCT(source_port INTEGER, destination_port INTEGER)),
    source STRUCT(cluster_name VARCHAR, namespace VARCHAR, pod_name VARCHAR,
                  workloads STRUCT(name VARCHAR)[]),
    traffic_direction VARCHAR, is_reply BOOLEAN)"""

LOAD = """
CREATE TABLE answers AS
SELECT client, address, name, make_timestamp(time_us) AS time, ttl_s
FROM read_csv('{table}', header = true, columns = {{
    client: 'VARCHAR', address: 'VARCHAR', name: 'VARCHAR', time_us: 'BIGINT', ttl_s: 'INTEGER'}})
"""

JOIN = """
COPY (
    WITH flows AS (
        SELECT flow.time AS time, flow.verdict AS action, flow.traffic_direction AS direction,
            flow.IP.source AS source_ip, flow.l4.TCP.source_port AS source_port,
            flow.IP.destination AS destination_ip,
            flow.l4.TCP.destination_port AS destination_port,
            flow.source.cluster_name AS cluster, flow.source.namespace AS namespace,
            flow.source.pod_name AS pod, flow.source.workloads[1].name AS workload
        FROM read_json('{flows}', format = 'newline_delimited', columns = {{flow: '{flow}'}})
        WHERE flow.traffic_direction = 'EGRESS' AND flow.is_reply IS NOT TRUE)
    SELECT f.*, a.name AS domain, a.time AS last, a.ttl_s,
        date_diff('millisecond', a.time, f.time) AS age_ms
    FROM flows f ASOF LEFT JOIN answers a
    ON a.client = f.source_ip AND a.address = f.destination_ip AND a.time <= f.time
) TO '{out}' (FORMAT json)
"""

# A flow is known by its second and its addresses and ports: DuckDB's lines have no order.
COMPARE = """
WITH ours AS (
    SELECT "@timestamp"[:19] AS second, source.ip AS src, source.port AS port,
        destination.ip AS dst, destination.domain AS domain,
        [c.name FOR c IN attribution.candidates] AS names,
        attribution.verdict AS verdict
    FROM read_json('{ours}', format = 'newline_delimited', columns = {{"@timestamp": 'VARCHAR',
        source: 'STRUCT(ip VARCHAR, port INTEGER)',
        destination: 'STRUCT(ip VARCHAR, domain VARCHAR)',
        attribution: 'STRUCT(verdict VARCHAR, candidates STRUCT(name VARCHAR)[])'}})),
theirs AS (
    SELECT replace(time[:19], ' ', 'T') AS second, source_ip AS src, source_port AS port,
        destination_ip AS dst, domain
    FROM read_json('{theirs}', format = 'newline_delimited', columns = {{time: 'VARCHAR',
        source_ip: 'VARCHAR', source_port: 'INTEGER', destination_ip: 'VARCHAR',
        domain: 'VARCHAR'}}))
SELECT count(*) FILTER (o.second IS NULL OR t.second IS NULL) AS missing,
    count(*) FILTER (o.domain IS NOT DISTINCT FROM t.domain) AS alike,
    count(*) FILTER (o.domain <> t.domain AND list_contains(o.names, t.domain)) AS other_order,
    count(*) FILTER (o.domain IS NULL AND t.domain IS NOT NULL) AS older,
    count(*) AS flows
FROM ours o FULL JOIN theirs t
ON o.second = t.second AND o.src = t.src AND o.port = t.port AND o.dst = t.dst
"""


def join(con, flows, table, out):
    con.execute("SET preserve_insertion_order = false")
    con.execute(LOAD.format(table=table))
    wall, cpu = time.monotonic(), sum(os.times()[:2])
    con.execute(JOIN.format(flows=flows, flow=FLOW, out=out))
    wall, cpu = time.monotonic() - wall, sum(os.times()[:2]) - cpu
    print(f"wall_s {wall:.3f} cpu_s {cpu:.3f}")


def compare(con, ours, theirs):
    columns = con.execute(COMPARE.format(ours=ours, theirs=theirs))
    values = columns.fetchone()
    print(" ".join(f"{d[0]} {v}" for d, v in zip(columns.description, values)))


def main():
    con = duckdb.connect()
    con.execute("SET threads = 2")
    if len(sys.argv) == 5 and sys.argv[1] == "join":
        join(con, *sys.argv[2:])
    elif len(sys.argv) == 4 and sys.argv[1] == "compare":
        compare(con, *sys.argv[2:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
