/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much a packet is on the wire. The kernel hands large packets around (GSO when sending, GRO when receiving) that
 * have one header in front; on the wire each segment has its own.
 */
#ifndef NESTOR_NET_PACKET_BPF_H
#define NESTOR_NET_PACKET_BPF_H

struct packet {
	__u32 bytes; /* of IP, headers included */
	__u32 segments;
};

/* Length of the headers that begin with IP at offset @ip, of which each segment has a copy; 0 if it is no IP. */
static __always_inline __u32 packet_headers(struct __sk_buff *skb, __u32 ip)
{
	struct ipv6hdr h; /* not shorter than an IPv4 header without options */
	struct iphdr *v4 = (void *)&h;
	__u32 len, protocol;
	__u8 doff;

	if (bpf_skb_load_bytes(skb, ip, &h, sizeof(*v4)))
		return 0;
	if (v4->version == 4) {
		len = v4->ihl * 4;
		protocol = v4->protocol;
	} else if (v4->version == 6) {
		len = sizeof(h);
		protocol = h.nexthdr;
	} else {
		return 0;
	}
	if (protocol == IPPROTO_UDP)
		return len + sizeof(struct udphdr);
	if (protocol != IPPROTO_TCP || bpf_skb_load_bytes(skb, ip + len + 12, &doff, sizeof(doff)))
		return len;
	return len + (doff >> 4) * 4;
}

/* @ip: offset of the IP header in what @skb shows. Frames that are no IP count from there, too. */
static __always_inline struct packet packet_of(struct __sk_buff *skb, __u32 ip)
{
	struct packet p = { .bytes = skb->len - ip, .segments = 1 };
	__u32 size = skb->gso_size, headers;

	if (!size)
		return p;
	headers = packet_headers(skb, ip);
	p.segments = skb->gso_segs;
	if (!p.segments) /* a VM's packet: its kernel tells the size alone */
		p.segments = (p.bytes - headers + size - 1) / size;
	if (p.segments > 1)
		p.bytes += (p.segments - 1) * headers;
	return p;
}

/* What tells packets of TCP apart. */
struct packet_head {
	__u32 bytes; /* 0: none */
	__u8 first[40]; /* IPv6, or IPv4 and TCP */
	__u8 more[12]; /* ports and numbers of TCP over IPv6; or options, if there are any */
};

static __always_inline void packet_head_of(struct packet_head *head, struct __sk_buff *skb)
{
	head->bytes = skb->len;
	bpf_skb_load_bytes(skb, 0, head->first, sizeof(head->first));
	bpf_skb_load_bytes(skb, sizeof(head->first), head->more, sizeof(head->more)); /* zeros where it is shorter */
}

static __always_inline bool packet_head_same(const struct packet_head *a, const struct packet_head *b)
{
	const __u64 *x = (const void *)a, *y = (const void *)b;
	__u64 differ = 0;

	for (unsigned int i = 0; i < sizeof(*a) / sizeof(*x); i++)
		differ |= x[i] ^ y[i];
	return !differ;
}

#endif
