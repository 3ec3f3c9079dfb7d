// Package survivability is the second brain: the router that calls ask while
// the cloud is away, or when it kept silent to an INVITE. Internal calls go on
// as ever, what needs the cloud is refused with a plain reason. It must never
// know a socket or a SIP message; it sees the switchboard through Desk.
package survivability
