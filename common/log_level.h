/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much a line of the log matters, by the names that MELIN_LOG has for it. Not for where lines
 * go: preload/config/log.h.
 */
#ifndef MELIN_LOG_LEVEL_H
#define MELIN_LOG_LEVEL_H

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_TRACE,
};

#endif
