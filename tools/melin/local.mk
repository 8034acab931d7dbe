# SPDX-License-Identifier: BSD-3-Clause
# The command melin(1). It reads the variables by the library's own parser and asks the kernel by
# the lender's functions; it needs libc and libpcap (melin pcap), and neither DPDK nor lwIP.
bin_PROGRAMS += melin
melin_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE $(HARDENING_CPPFLAGS) $(broker_cppflags) \
	-DBINDIR='"$(bindir)"' -DLIBDIR='"$(libdir)"' -DSYSCONFDIR='"$(sysconfdir)"'
melin_CFLAGS = $(WARNING_CFLAGS) $(HARDENING_CFLAGS) -fvisibility=hidden
melin_LDFLAGS = $(HARDENING_LDFLAGS)
melin_LDADD = broker/liblender.la common/libcommon.la $(PCAP_LIBS)
melin_SOURCES = \
	common/status_reader.c \
	common/status_reader.h \
	dpdk/interface/ending.c \
	dpdk/interface/interface_claim.c \
	tools/melin/broker_use.c \
	tools/melin/broker_use.h \
	tools/melin/check.c \
	tools/melin/check.h \
	tools/melin/check_files.c \
	tools/melin/check_login.c \
	tools/melin/check_machine.c \
	tools/melin/check_network.c \
	tools/melin/check_proof.c \
	tools/melin/check_result.c \
	tools/melin/command_line.c \
	tools/melin/command_line.h \
	tools/melin/commands.h \
	tools/melin/drain.c \
	tools/melin/installed.c \
	tools/melin/installed.h \
	tools/melin/json_text.c \
	tools/melin/json_text.h \
	tools/melin/kernel_sockets.c \
	tools/melin/kernel_sockets.h \
	tools/melin/melin.c \
	tools/melin/pcap.c \
	tools/melin/pcap_checksum.c \
	tools/melin/pcap_checksum.h \
	tools/melin/pcapng.c \
	tools/melin/pcapng.h \
	tools/melin/process_list.c \
	tools/melin/process_list.h \
	tools/melin/profile.c \
	tools/melin/profile.h \
	tools/melin/run.c \
	tools/melin/run_program.c \
	tools/melin/run_program.h \
	tools/melin/run_user.c \
	tools/melin/run_user.h \
	tools/melin/snapshot.c \
	tools/melin/snapshot.h \
	tools/melin/snapshot_export.c \
	tools/melin/snapshot_export.h \
	tools/melin/snapshot_text.c \
	tools/melin/snapshot_text.h \
	tools/melin/start_options.c \
	tools/melin/start_options.h \
	tools/melin/stat.c \
	tools/melin/top.c \
	$(broker_client_sources) \
	$(tools_config_sources)
# What the command shares with libmelin.so.
tools_config_sources = \
	preload/config/address.c \
	preload/config/config.c \
	preload/config/config_address.c \
	preload/config/entry.c \
	preload/config/log.c \
	preload/config/log_file.c \
	preload/config/log_syslog.c \
	preload/config/program_file.c \
	preload/config/rules.c \
	preload/config/span.c

# Profiles of melin run: installed where the host may change them, and beside the command as it
# lies in the build folder.
profiles = latency.conf quiet.conf throughput.conf
profilesdir = $(sysconfdir)/melin
dist_profiles_DATA = $(profiles:%=tools/melin/profiles/%)
$(profiles:%=profiles/%): $(dist_profiles_DATA)
	$(AM_V_GEN)mkdir -p profiles && cp '$(srcdir)/tools/melin/$@' '$@'
all-local: $(profiles:%=profiles/%)
CLEANFILES += $(profiles:%=profiles/%)

# What bash looks for when "melin" is completed is a file of that name.
EXTRA_DIST += tools/melin/melin.bash-completion
completionsdir = $(datadir)/bash-completion/completions
completions_DATA = completions/melin
CLEANFILES += completions/melin
completions/melin: tools/melin/melin.bash-completion
	$(AM_V_GEN)mkdir -p completions && cp '$(srcdir)/tools/melin/melin.bash-completion' '$@'
