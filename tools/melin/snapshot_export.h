/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A snapshot for programs: JSON, and Prometheus's text exposition format. Not for people
 * (snapshot_text.h).
 */
#ifndef MELIN_SNAPSHOT_EXPORT_H
#define MELIN_SNAPSHOT_EXPORT_H

#include <stdio.h>

#include "tools/melin/snapshot.h"

/* One object and a line end: { "processes": [...] }. Names that are there stay there. */
void export_json(FILE *stream, const struct snapshot *snapshot, unsigned parts);

/* Version 0.0.4 of the format: what promtool(1) and node_exporter's textfile collector take. */
void export_prometheus(FILE *stream, const struct snapshot *snapshot);

#endif
