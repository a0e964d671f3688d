// SPDX-License-Identifier: MIT
/**
 * Network device rings: requests, responses, extra infos, control ring. Rules: Xen public/io/netif.h, whose
 * names and order are kept. All structures are the same for 32- and 64-bit guests.
 * @module
 */
import { layout } from "../../../cpu/base/layout.ts";

/** Slots per packet every backend must accept. */
export const XEN_NETIF_NR_SLOTS_MIN = 18;
/** Largest packet a frontend may send. */
export const XEN_NETIF_MAX_TX_SIZE = 0xffff;

/** Protocol checksum field is blank in the packet. */
export const NETTXF_csum_blank = 1 << 0;
/** Packet data has been validated against the protocol checksum. */
export const NETTXF_data_validated = 1 << 1;
/** Packet continues in the next request. */
export const NETTXF_more_data = 1 << 2;
/** Followed by extra infos. */
export const NETTXF_extra_info = 1 << 3;

/** struct netif_tx_request. */
export const netif_tx_request = layout({ gref: "u32", offset: "u16", flags: "u16", id: "u16", size: "u16" });
/** struct netif_tx_response; it lies in a slot of netif_tx_request's size. */
export const netif_tx_response = layout({ id: "u16", status: "i16" });
/** Bytes of a slot of the transmit ring. */
export const NETIF_TX_ENTRY = Math.max(netif_tx_request.size, netif_tx_response.size);

/** Never used. */
export const XEN_NETIF_EXTRA_TYPE_NONE = 0;
/** Generic segmentation offload. */
export const XEN_NETIF_EXTRA_TYPE_GSO = 1;
/** Adds an address to the multicast filter. */
export const XEN_NETIF_EXTRA_TYPE_MCAST_ADD = 2;
/** Removes an address from the multicast filter. */
export const XEN_NETIF_EXTRA_TYPE_MCAST_DEL = 3;
/** Hash value of the packet. */
export const XEN_NETIF_EXTRA_TYPE_HASH = 4;
/** First invalid type. */
export const XEN_NETIF_EXTRA_TYPE_MAX = 5;
/** Another extra info follows. */
export const XEN_NETIF_EXTRA_FLAG_MORE = 1 << 0;

/** Not segmented. */
export const XEN_NETIF_GSO_TYPE_NONE = 0;
/** TCP over IPv4. */
export const XEN_NETIF_GSO_TYPE_TCPV4 = 1;
/** TCP over IPv6. */
export const XEN_NETIF_GSO_TYPE_TCPV6 = 2;

const extra_gso = layout({ size: "u16", type: "u8", pad: "u8", features: "u16" });
const extra_mcast = layout({ addr: ["u8", 6] });
const extra_hash = layout({ type: "u8", algorithm: "u8", value: ["u8", 4] });
/** struct netif_extra_info; `u` is read with one of the netif_extra_info_* layouts. */
export const netif_extra_info = layout({ type: "u8", flags: "u8", u: ["u16", 3] });
/** The member u.gso. */
export const netif_extra_info_gso = extra_gso;
/** The member u.mcast. */
export const netif_extra_info_mcast = extra_mcast;
/** The member u.hash. */
export const netif_extra_info_hash = extra_hash;

/** Packet data has been validated against the protocol checksum. */
export const NETRXF_data_validated = 1 << 0;
/** Protocol checksum field is blank in the packet. */
export const NETRXF_csum_blank = 1 << 1;
/** Packet continues in the next response. */
export const NETRXF_more_data = 1 << 2;
/** Followed by extra infos. */
export const NETRXF_extra_info = 1 << 3;
/** Deprecated form of GSO. */
export const NETRXF_gso_prefix = 1 << 4;

/** struct netif_rx_request. */
export const netif_rx_request = layout({ id: "u16", pad: "u16", gref: "u32" });
/** struct netif_rx_response. */
export const netif_rx_response = layout({ id: "u16", offset: "u16", flags: "u16", status: "i16" });
/** Bytes of a slot of the receive ring. */
export const NETIF_RX_ENTRY = Math.max(netif_rx_request.size, netif_rx_response.size);

/** Dropped. */
export const NETIF_RSP_DROPPED = -2;
/** Failed. */
export const NETIF_RSP_ERROR = -1;
/** Sent. */
export const NETIF_RSP_OKAY = 0;
/** No response: answers a slot that held an extra info. */
export const NETIF_RSP_NULL = 1;

/** struct xen_netif_ctrl_request. */
export const xen_netif_ctrl_request = layout({ id: "u16", type: "u16", data: ["u32", 3] });
/** struct xen_netif_ctrl_response. */
export const xen_netif_ctrl_response = layout({ id: "u16", type: "u16", status: "u32", data: "u32" });
/** Bytes of a slot of the control ring. */
export const XEN_NETIF_CTRL_ENTRY = Math.max(xen_netif_ctrl_request.size, xen_netif_ctrl_response.size);
/** struct xen_netif_gref. */
export const xen_netif_gref = layout({ ref: "u32", flags: "u16", status: "u16" });

export const XEN_NETIF_CTRL_HASH_TYPE_IPV4 = 1 << 0;
export const XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP = 1 << 1;
export const XEN_NETIF_CTRL_HASH_TYPE_IPV6 = 1 << 2;
export const XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP = 1 << 3;

export const XEN_NETIF_CTRL_HASH_ALGORITHM_NONE = 0;
export const XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ = 1;

export const XEN_NETIF_CTRL_TYPE_INVALID = 0;
export const XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS = 1;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS = 2;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_KEY = 3;
export const XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE = 4;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE = 5;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING = 6;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM = 7;
export const XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE = 8;
export const XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING = 9;
export const XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING = 10;

export const XEN_NETIF_CTRL_STATUS_SUCCESS = 0;
export const XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED = 1;
export const XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER = 2;
export const XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW = 3;

export const XEN_NETIF_CTRLF_GREF_readonly = 1 << 0;
