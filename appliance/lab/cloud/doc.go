// Package cloud is an embedded cloud PBX: a registrar with digest, accounts that can
// call each other and the outside, virtual outside subscribers who follow a script,
// SRTP, and faults that a test switches on and off while it runs.
//
// It plays the provider for the product; it must never know anything of the product.
package cloud
