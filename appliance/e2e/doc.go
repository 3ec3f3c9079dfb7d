// Package e2e runs the whole daemon among strangers: baresip as phones and as
// the far party, Kamailio as the cloud PBX, SIPp on either side, sipvicious and
// sipsak as intruders, dumpcap and tshark as witnesses. Each test builds a town of network namespaces for
// itself and takes it down again.
//
//	phone 1 ─┐                  ┌───────┐
//	phone 2 ─┼─ lan0 [ box ] wan0 ─ net ─ wire0 [ cloud: Kamailio or SIPp ] ─ far party
//	phone n ─┘  10.77.1.1   10.77.2.1      10.77.2.10, .30             10.77.2.20
//
// The middle of the line (net) is a bridge of its own: when the cloud loses
// its link, the box still sees carrier and has to find out by silence.
//
// It needs root and the tools that .ci/setup installs. Without them it shows
// one skip with the reason; in CI (CI=true or LINEKEEPER_MUST=lab) it fails.
// It must never look inside the daemon: what it knows comes over the wire,
// the command line and the daemon's own status.
package e2e
