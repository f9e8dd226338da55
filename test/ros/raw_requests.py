"""Requests with arbitrary bytes. A client of rclpy can only send requests that it serialises itself."""

import ctypes

from rclpy.serialization import serialize_message
from rclpy.utilities import get_rmw_implementation_identifier

# `rmw_qos_history_policy_e`, `rmw_qos_reliability_policy_e`, `rmw_qos_durability_policy_e`.
KEEP_LAST, RELIABLE, VOLATILE = 1, 1, 2


class Duration(ctypes.Structure):
    """`rmw_time_s`."""

    _fields_ = [("sec", ctypes.c_uint64), ("nsec", ctypes.c_uint64)]


class Profile(ctypes.Structure):
    """`rmw_qos_profile_s`."""

    _fields_ = [
        ("history", ctypes.c_int),
        ("depth", ctypes.c_size_t),
        ("reliability", ctypes.c_int),
        ("durability", ctypes.c_int),
        ("deadline", Duration),
        ("lifespan", Duration),
        ("liveliness", ctypes.c_int),
        ("liveliness_lease_duration", Duration),
        ("avoid_ros_namespace_conventions", ctypes.c_bool),
    ]


class PublisherOptions(ctypes.Structure):
    """`rmw_publisher_options_s`."""

    _fields_ = [("payload", ctypes.c_void_p), ("require_unique_network_flow_endpoints", ctypes.c_int)]


class Allocator(ctypes.Structure):
    """`rcutils_allocator_s`."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("allocate", "deallocate", "reallocate", "zero_allocate", "state")]


class SerializedMessage(ctypes.Structure):
    """`rcutils_uint8_array_s`."""

    _fields_ = [
        ("buffer", ctypes.c_char_p),
        ("length", ctypes.c_size_t),
        ("capacity", ctypes.c_size_t),
        ("allocator", Allocator),
    ]


class RawClient:
    """Sends requests of any bytes to a service: it writes them to the service's DDS topic, `rq/<service>Request`.

    Their responses, if there are any, are received by nobody. It stays open until the process ends.
    """

    def __init__(self, node, kind, service):
        """`kind`: the service's class, such as GetParameters; `service`: its full name."""
        package = kind.__module__.split(".")[0]
        self.rmw = ctypes.CDLL(f"lib{get_rmw_implementation_identifier()}.so")
        rcl = ctypes.CDLL("librcl.so")
        types = ctypes.CDLL(f"lib{package}__rosidl_typesupport_c.so")
        support = getattr(
            types, f"rosidl_typesupport_c__get_message_type_support_handle__{package}__srv__{kind.__name__}_Request"
        )
        support.restype = ctypes.c_void_p
        rcl.rcl_node_get_rmw_handle.restype = ctypes.c_void_p
        rcl.rcl_node_get_rmw_handle.argtypes = [ctypes.c_void_p]
        self.rmw.rmw_create_publisher.restype = ctypes.c_void_p
        self.rmw.rmw_create_publisher.argtypes = [ctypes.c_void_p] * 5
        self.rmw.rmw_publish_serialized_message.argtypes = [ctypes.c_void_p] * 3
        self.rmw.rmw_publisher_count_matched_subscriptions.argtypes = [ctypes.c_void_p] * 2
        with node.handle:
            rmw_node = rcl.rcl_node_get_rmw_handle(node.handle.pointer)
        profile = Profile(KEEP_LAST, 1000, RELIABLE, VOLATILE, avoid_ros_namespace_conventions=True)
        self.publisher = self.rmw.rmw_create_publisher(
            rmw_node,
            support(),
            f"rq{service}Request".encode(),
            ctypes.addressof(profile),
            ctypes.addressof(PublisherOptions()),
        )
        assert self.publisher, f"no writer of rq{service}Request"

    @property
    def connected(self):
        """Whether the writer has discovered the service."""
        count = ctypes.c_size_t(0)
        assert self.rmw.rmw_publisher_count_matched_subscriptions(self.publisher, ctypes.addressof(count)) == 0
        return count.value > 0

    def send(self, cdr):
        """Sends the bytes, which begin with the four bytes of the CDR encapsulation."""
        message = SerializedMessage(cdr, len(cdr), len(cdr))
        assert self.rmw.rmw_publish_serialized_message(self.publisher, ctypes.addressof(message), None) == 0


def with_encapsulation(request, encapsulation):
    """A serialised request with other first bytes than `00 01`, which stands for little-endian CDR."""
    return encapsulation + serialize_message(request)[len(encapsulation) :]
