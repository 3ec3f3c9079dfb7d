// Package policy decides who may talk to the box and who may dial what. It is
// pure: addresses, numbers and classes in, a refusal or none out. It must never
// know a socket, a clock, a message or a site document.
package policy
