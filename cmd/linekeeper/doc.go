// Command linekeeper is the appliance daemon and its admin command line: one
// program.
//
// The commands talk to the daemon over its unix socket, with the same API as
// the web interface. The program must never know more of the daemon than that
// API tells, save for the commands that are the daemon.
//
// Exit codes: 0 ok, 1 a finding (a check failed, a document was refused), 2
// wrong usage or no daemon answers.
package main
