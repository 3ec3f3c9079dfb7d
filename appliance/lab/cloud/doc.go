// Package cloud is an embedded cloud PBX: a registrar with digest, accounts that can
// call each other and the outside, virtual outside subscribers who follow a script,
// SRTP, faults that a test switches on and off while it runs, and the house rules of
// real systems: what breaks one is refused as the real one would, and remembered.
//
// It plays the provider for the product; it must never know anything of the product.
package cloud
