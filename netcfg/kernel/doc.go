// Package kernel is where the box touches the kernel's network: in this version
// it only looks, and tells whether the link toward the provider has a carrier.
// It must never know SIP, a site document or why somebody asks.
package kernel
