// Signals that a training run answers. A process has one set of handlers, so this is state of the
// process, set up once before anything that takes time.
//
//   USR1        finish the step, save, exit 75: start me again. Repeated ones change nothing.
//   TERM, INT   finish the step, save, exit 78, if the other ranks agree within half a second
//   (under
//               mpirun a rank has one second before it is killed); else exit 78 at once, without
//               saving. A second one, later than 0.1 s after the first, exits at once.
//
// The last committed checkpoint stands in every case. XFSZ and PIPE are ignored: they become errors
// of the calls that cause them.
#pragma once

namespace trireme::launcher {

enum class StopRequest { kNone, kRequeue, kStop };

void install_signal_handlers();

// What this process was asked for so far. TERM and INT outweigh USR1.
StopRequest stop_requested();

// From now on a TERM or INT has to be agreed on with other ranks. `speaks`: whether this process is
// the one that says so if they do not.
void expect_peers(bool speaks);
// The job ends for another reason, which has been told.
void say_nothing_more();
// All ranks know that they stop: from now on the run takes the time that saving takes.
void stop_is_agreed();

}  // namespace trireme::launcher
