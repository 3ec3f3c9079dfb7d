// Package policy decides who may talk to the box and who may dial what, and
// what of one side's messages the other side may learn: identities, privacy,
// diversions, causes and the name of a session. It is pure: addresses, numbers,
// header fields in, a verdict or header fields out. It must never know a socket,
// a clock, a call or a site document.
package policy
