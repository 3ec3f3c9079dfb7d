// Package provider knows the cloud PBXes that the box works with: what each of
// them wants on the line, and for every fact whether it is the provider's own
// word or the house's default where the provider's document is silent.
//
// It is data and small pure functions. It must never know a socket, a clock,
// a site or an account.
package provider
