"""The refusal texts of the sandbox, verbatim: those of the document's panel and of API v2 panels.

Sources: document, seen (in public copies of the panel's script), assumed.
"""

__all__ = [
    "ACTION_INVALID",
    "ACTIVE_LINK",
    "BAD_LINK",
    "CANCEL_REFUSED",
    "COMMENTS_REQUIRED",
    "INTERVAL_INVALID",
    "INTERVAL_REQUIRED",
    "MAX_QUANTITY",
    "MIN_QUANTITY",
    "NOT_ENOUGH_FUNDS",
    "NO_DRIPFEED",
    "ORDER_REQUIRED",
    "ORDER_UNKNOWN",
    "PARAMETERS_MISSING",
    "QUANTITY_REQUIRED",
    "REFILL_REFUSED",
    "REFILL_REQUIRED",
    "REFILL_UNKNOWN",
    "REQUEST_INCORRECT",
    "RUNS_REQUIRED",
    "SERVICE_UNKNOWN",
    "TOO_MANY_IDS",
    "TRY_AGAIN",
    "USER_UNKNOWN",
    "RefusalReply",
    "to_api_v2",
]

USER_UNKNOWN = "API is Disable for this user or User Not Found! Contact the Support"  # seen
ACTION_INVALID = "This action is Invalid"  # seen
REQUEST_INCORRECT = "Incorrect request"  # seen; that a malformed expiry gets it is assumed
PARAMETERS_MISSING = (  # seen; the text after the first sentence is assumed
    "There are missing required parameters. Please check your API Manual"
)
SERVICE_UNKNOWN = "Service ID does not exists"  # seen
BAD_LINK = "Bad Link"  # seen
QUANTITY_REQUIRED = "Quantity is required"  # seen
COMMENTS_REQUIRED = "Comments field is required"  # seen
MIN_QUANTITY = "Quantity must to be greater than or equal to minimum amount {}"  # seen
MAX_QUANTITY = "Quantity must to be less than or equal to maximum amount {}"  # seen
NO_DRIPFEED = "This services does not support Dripfeed feature!"  # seen
INTERVAL_REQUIRED = "Interval time is required"  # seen
INTERVAL_INVALID = "Invalid Interval in minutes"  # seen; that a wrong delay gets it is assumed
RUNS_REQUIRED = "Runs is required"  # seen
NOT_ENOUGH_FUNDS = "Not enough funds on balance"  # seen
ACTIVE_LINK = (  # seen
    "You have an active order with this link. Please wait until order being completed."
)
ORDER_REQUIRED = (  # seen; the text after the first sentence is assumed
    "Order ID is required parameter. Please check your API Manual"
)
ORDER_UNKNOWN = "Incorrect order ID"  # document
TRY_AGAIN = "There was an error processing your request. Please try again later"  # seen

# Only in API v2.
REFILL_UNKNOWN = "Refill not found"  # seen
REFILL_REQUIRED = "Incorrect refill ID"  # seen
REFILL_REFUSED = "Order not eligible for refill."  # seen; that a second one gets it is assumed
CANCEL_REFUSED = "Order not eligible for cancel."  # assumed, after the text for a refill
TOO_MANY_IDS = "Incorrect request"  # seen; that too many ids get it is assumed

_API_V2_MESSAGES = (
    (USER_UNKNOWN, "Invalid API key"),  # seen
    (ACTION_INVALID, REQUEST_INCORRECT),  # seen
    (PARAMETERS_MISSING, REQUEST_INCORRECT),  # assumed
    (SERVICE_UNKNOWN, "Incorrect service ID"),  # seen
    (BAD_LINK, "neworder.error.link"),  # seen
    (QUANTITY_REQUIRED, "Incorrect quantity"),  # seen; that a missing one gets it is assumed
    (COMMENTS_REQUIRED, REQUEST_INCORRECT),  # assumed
    (MIN_QUANTITY.format(""), "Quantity less than minimal "),  # seen
    (MAX_QUANTITY.format(""), "Quantity more than maximum "),  # seen
    (NOT_ENOUGH_FUNDS, "neworder.error.not_enough_funds"),  # seen
    (ACTIVE_LINK, "neworder.error.link_duplicate"),  # seen
    (ORDER_REQUIRED, ORDER_UNKNOWN),  # assumed
)


def to_api_v2(text: str) -> str:
    """Return the API v2 text for a text of the document's panel.

    A number at the end is kept. Texts not known to differ are returned unchanged (assumed).
    """
    for prefix, replacement in _API_V2_MESSAGES:
        if text.startswith(prefix):
            return replacement + text.removeprefix(prefix)
    return text


class RefusalReply(Exception):  # noqa: N818  # the panel's answer, not an error of the sandbox
    """The panel refuses a request with one of the texts of this module; nothing was stored."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
