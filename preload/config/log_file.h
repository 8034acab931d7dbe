/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opens the file that MELIN_LOG names, in processes of any user: root's programs too are told by
 * that variable where to write. Not for the lines themselves (log.h).
 */
#ifndef MELIN_LOG_FILE_H
#define MELIN_LOG_FILE_H

/*
 * A new descriptor, numbered out of the program's way, for appending whole lines; the file is made
 * if there is none. Never waits: not for a FIFO's reader (-ENXIO without one), nor later for room
 * in it. A symbolic link is not followed (-ELOOP), a file that somebody else may have linked here
 * (neither root's nor this user's, and with a second name) is not written (-EMLINK), nor is a disk
 * (-EPERM). Another negative errno value of open(2).
 */
int log_file_open(const char *path);

#endif
