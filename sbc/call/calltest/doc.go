// Package calltest is the language of the ladders in testdata/ladders, for those who
// play them: sbc/call plays them on the machine alone, sbc plays the same files on the
// whole switchboard over sockets.
//
// A ladder is a list of lines. "A -> box INVITE sdp" is done by an actor: A is the
// caller, B1, B2 … are those who are called. "box -> B1 INVITE sdp=sendrecv" and
// "box : talking" are what the box must do. All other lines (plan, wait, show …) set
// the scene or stand for something that is no message; each player carries them out in
// its own way. What follows a # is a remark.
//
// A new word of a message, on either side of the arrow, belongs here, where both
// players find it: what an actor says goes into Pen.Dress, what the box says into
// Shape. A new line that sets the scene needs a case in both players; where one can't
// have it, the list of exceptions in sbc/ladder_test.go says why.
//
// The ladders in testdata/ladders/room are of what needs the whole switchboard. They have
// the same lines, but words of their own: those of sbc/roomwords_test.go; the one player
// in sbc/room_test.go has two worlds.
package calltest
