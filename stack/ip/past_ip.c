/* SPDX-License-Identifier: BSD-3-Clause */
/* See past_ip.h. */
#include "stack/ip/past_ip.h"

#include "lwip/priv/tcp_priv.h"

void past_ip_begin4(const struct ip_hdr *header)
{
	ip_data.current_ip4_header = header;
	ip_data.current_ip6_header = NULL;
	ip_addr_copy_from_ip4(ip_data.current_iphdr_src, header->src);
	ip_addr_copy_from_ip4(ip_data.current_iphdr_dest, header->dest);
}

void past_ip_begin6(struct ip6_hdr *header)
{
	ip_data.current_ip4_header = NULL;
	ip_data.current_ip6_header = header;
	ip_addr_copy_from_ip6_packed(ip_data.current_iphdr_src, header->src);
	ip_addr_copy_from_ip6_packed(ip_data.current_iphdr_dest, header->dest);
}

void past_ip_input(struct pbuf *packet, struct netif *netif, u16_t before, u16_t header)
{
	ip_data.current_netif = netif;
	ip_data.current_input_netif = netif;
	ip_data.current_ip_header_tot_len = header;
	pbuf_remove_header(packet, before);
	tcp_input(packet, netif);
	ip_data.current_netif = NULL;
	ip_data.current_input_netif = NULL;
	ip_data.current_ip4_header = NULL;
	ip_data.current_ip6_header = NULL;
	ip_addr_set_any(0, &ip_data.current_iphdr_src);
	ip_addr_set_any(0, &ip_data.current_iphdr_dest);
}

err_t past_ip_never_input(struct pbuf *packet, struct netif *netif)
{
	(void)netif;
	pbuf_free(packet);
	return ERR_OK;
}
