"""Texts that panels may send, for the tests of the grammar of refusals.

All are assumed, unless a comment says otherwise: wordings of the same refusals as other programmers
would choose them, and texts that must never be taken for a refusal.
"""

from smmfanfast_async.errors import ErrorKind

OTHER_WORDINGS: dict[ErrorKind, str] = {
    ErrorKind.AUTH: """
Your account does not have API access
api key incorrect
Invalid key
Invalid token
Wrong API key
API key not found
API key is invalid
API key is missing
API key missing
Api key is not valid.
The API key is invalid.
The provided API key is invalid
Your API key is invalid
Your API key is incorrect
Missing API key
No API key provided
API key not provided
API key was not provided
Invalid API key provided
Invalid or missing API key
Missing or invalid API key
Invalid API key or user not found
Invalid API key or account inactive
Invalid API Key format
API key expired
API key has expired
API key has been revoked
API key is disabled
Please provide a valid API key
Please provide API key
Invalid credentials
Your account has been suspended
Your account has been suspended. Please contact support.
Your account is suspended
Your account is banned
Your account is blocked
Your account has been banned.
Account disabled
Account is not active
Account suspended
Your account is not active. Please contact support.
Your account is not activated
User is inactive
User is banned
User is not active
User not found or inactive
User does not exist
API access is not enabled for your account
API access is disabled for your account
API access is disabled. Contact support.
API is disabled
Your API access has been disabled
Key is required
key is missing
INVALID_API_KEY
invalid_key
UNAUTHORIZED_KEY_MISSING
account_suspended
API token is invalid
Invalid access token
""",
    ErrorKind.FUNDS: """
Your balance is not sufficient to complete this order
Not enough balance: need 1.2, have 0.5
You have insufficient balance.
You have insufficient funds
Insufficient balance
Insufficient funds
Insufficient funds.
Insufficient funds in your account
Insufficient funds on your balance
Insufficient account balance
Insufficient wallet balance
Insufficient user balance
Insufficient credits
Insufficient balance to place this order
Insufficient balance to place order. Required: $1.50
Insufficient balance. Required: 1.50, available: 0.20
Insufficient balance. Required: $12.00, Available: $3.50
Insufficient balance. You need $2.50 but have $1.00
Insufficient balance. You need $5.25 more to place this order.
Insufficient balance. Please add funds.
Insufficient balance. Please top up your account.
Insufficient balance, please topup your balance
Insufficient balance, please recharge
Insufficient funds. Please add funds to your account.
Insufficient funds. Your balance is $0.50
Insufficient funds. Current balance: $0.50
Insufficient funds. Order cost: $3.00, balance: $1.00
Not enough funds in your balance
Not enough funds in account
Not enough money
Not enough money on balance
Not enough money on your balance
Not enough credits
Not enough funds on the balance
You don't have enough balance
You don't have enough funds
You don't have enough balance in your account
You do not have enough balance
You do not have sufficient funds
You do not have sufficient balance in your wallet
You dont have enough balance
You do not have enough credit to place this order
User does not have enough balance
User balance is insufficient
Your balance is not enough
Your balance is not enough to place this order
Your balance is too low
Your balance is low
Your account balance is insufficient
Your wallet balance is insufficient
Balance is not enough
Balance not enough
Balance insufficient
Balance is too low
Low balance
Account balance too low
insufficient_funds
insufficient_balance
INSUFFICIENT_BALANCE
INSUFFICIENT_FUNDS
not_enough_balance
error.not_enough_funds
errors.insufficient_funds
InsufficientBalance
Error: Insufficient balance
Sorry, you don't have enough balance
""",
    ErrorKind.SERVICE: """
You are not allowed to use this service
You do not have access to this service
Service is suspended
Service not found
Service not found.
Service Not Found
Service does not exist
Service does not exist.
Service doesn't exist
Service not exist
Service not exists
Service id not found
Service ID is invalid
Service ID is incorrect
Service ID invalid
Service ID does not exist
The service does not exist
This service does not exist
The service ID is invalid
The selected service does not exist
The selected service id is invalid.
The selected service is inactive
Invalid service id
Invalid service ID provided
Invalid service selected
Invalid Service.
Wrong service id
Wrong service
Bad service
Bad service id
Unknown service
Unknown service ID
No such service
No service found
No service found with this ID
Service with this ID does not exist
Service with ID 123 not found
Service 123 not found
Service #123 does not exist
Invalid service: 123
Service inactive
Service is inactive
Service is not active
Service is disabled
Service disabled
Disabled service ID
This service is disabled
This service is inactive
This service is currently disabled
Service is currently inactive
Service not active
Service not found or disabled
Service not found or not active
Service not found or is inactive
Invalid or inactive service
Inactive service
Invalid or disabled service
Service no longer exists
This service is no longer active
Please select a valid service
Product not found
Package not found
service_not_found
SERVICE_NOT_FOUND
invalid_service_id
SERVICE_INACTIVE
service_disabled
error.service_not_found
ServiceNotFound
Selected service not found
""",
    ErrorKind.VALIDATION: """
Missing parameter(s)
Order minimum is 10
The minimum order is 10 and maximum is 5000
Quantity must be >= 10
Link must be a valid Instagram URL
Invalid Instagram link
Quantity is required and must be a number
Quantity must be a positive whole number
Number of comments is less than the minimum
Comments must contain at least 10 lines
Quantity (5) is less than minimum (10)
Quantity 5 is below the minimum of 10
Link is required
Link is required.
Link required
The link is required
URL is required
Username is required
Usernames are required
Comments are required
Comments required
Comments cannot be empty
Comments can not be empty
Link cannot be empty
Link can't be empty
Link can't be blank
Link must not be empty
Link is empty
Empty link
Link is missing
Missing link
Missing quantity
Missing service or link
Missing service, link or quantity
Missing parameter: link
Missing parameter link
Missing params
Missing required params
Missing required fields
Missing required fields: service, link, quantity
Missing required field: quantity
Missing or invalid parameters
Required parameters missing
Required parameters are missing
Required fields are missing
Required fields missing
All fields are required
All fields are required.
All parameters are required
Please fill all fields
Please fill in all fields
Please fill all required fields
Please fill in all required fields.
Please enter a valid link
Please enter link
Please enter valid URL
Please provide a valid link
Please provide link and quantity
Please enter quantity
Please enter a valid quantity
Invalid link
Invalid link.
Invalid link format
Invalid URL format
Invalid link provided
The link is invalid
The link is not valid
The link format is invalid.
Link is invalid
Link is incorrect
Link is not valid
Link not valid
Wrong link
Link format is invalid
Link format is incorrect
Invalid username
Username is invalid
Invalid quantity
Invalid quantity.
Invalid Quantity!
Wrong quantity
Bad quantity
Quantity is invalid
Quantity is not valid
Quantity must be a number
Quantity must be numeric
Quantity must be an integer
Quantity must be a positive integer
Quantity must be a positive number
Quantity must be greater than zero
Quantity must be greater than 0
The quantity must be an integer.
The quantity must be at least 10.
The quantity must be a number.
The quantity may not be greater than 1000.
The quantity must be between 10 and 1000.
The quantity must be greater than 0.
The link must be a valid URL.
The link format is invalid.
The service field is required.
The service field is required. (and 2 more errors)
The service id field is required.
The runs must be an integer.
The runs field is required when interval is present.
Minimum order quantity is 100
Minimum order is 100
Minimum order amount is 100
Minimum quantity: 100
Minimum quantity 100
Minimum quantity is 100.
Minimum quantity for this service is 100
Maximum quantity for this service is 10000
Min quantity is 100
Max quantity is 1000
Min order 10
Min: 10, Max: 1000
Minimum 100, maximum 1000
Minimum is 100
Maximum order quantity is 5000
Order amount must be between 10 and 500
Order quantity must be between 10 and 500
Quantity must be between 10 and 10,000
Quantity must be between 10-1000
Quantity should be between 10 and 1000
Quantity must be at least 10
Quantity must be minimum 10
Quantity must be more than 10
Quantity must not exceed 1000
Quantity cannot exceed 1000
Quantity cannot be less than 10
Quantity cannot be more than 1000
Quantity can't be less than 10
Quantity should be at least 50
Quantity should not be less than 50
Quantity is too low
Quantity is too high
Quantity too low
Quantity too small
Quantity too low. Minimum is 10
Quantity too high. Maximum: 1000
Quantity is less than minimum
Quantity is less than minimum 100
Quantity is less than the minimum
Quantity is below minimum
Quantity is below the minimum of 100
Quantity below minimum
Quantity below minimum (100)
Quantity is lower than minimum
Quantity is greater than maximum
Quantity is more than maximum
Quantity exceeds maximum
Quantity exceeds the maximum of 1000
Quantity exceeds maximum limit
Quantity exceeds maximum (1000)
Quantity above maximum
Quantity out of range
Quantity out of range (10-1000)
Quantity is out of range
Quantity is out of range. Min: 10, Max: 1000
Quantity not in range
Quantity must be within 10 - 1000
Quantity less than minimal ~10
Quantity more than maximum 1000
The quantity is less than the minimum
Quantity must be multiple of 10
Invalid quantity. Min: 10, Max: 1000
Invalid quantity (min: 10, max: 1000)
Invalid quantity. Must be between 10 and 1000
Quantity must be between min 10 and max 1000
Drip-feed is not supported for this service
Dripfeed is not allowed for this service
This service doesn't support drip-feed
This service does not support dripfeed
Service does not support drip feed
Drip feed not supported
Drip-feed is disabled for this service
Runs and interval are required
Invalid runs
Invalid interval
Interval is required
Runs must be at least 2
Invalid action
Action is required
Unknown action
Missing action
Invalid parameters
Invalid request parameters
Invalid input
Invalid data
Invalid country
Invalid delay
Comments must be at least 10
Minimum 10 comments required
At least 10 comments required
Please enter at least 10 comments
Validation failed
Validation error
The given data was invalid.
min_quantity
max_quantity
invalid_link
INVALID_LINK
INVALID_QUANTITY
QUANTITY_TOO_LOW
missing_parameters
MISSING_PARAMETER
link_required
error.invalid_quantity
QUANTITY_OUT_OF_RANGE
Link must start with https://
Profile is private
""",
    ErrorKind.DUPLICATE: """
duplicate order, please wait for the previous to complete
Duplicate order detected
Duplicate order
You already have an active order with this link
You already have an active order for this link
You already have an active order for this link. Please wait until it is completed.
You already have an order in progress for this link
You have an active order for this link. Please wait until it completes.
You have active order with this link. Please wait until order being completed.
You have already an active order with this link
There is already an active order for this link
There is already an active order with this link
There is an active order for this link
An active order already exists for this link
An active order for this link already exists
An order for this link is already in progress
Active order exists for this link
Active order with this link already exists
This link already has an active order
This link has an active order
Another order with this link is in progress
Another order for this link is already active
Another active order exists for this link
You already have a pending order for this link
Link already in use
Link is already in progress
Order with this link already exists
duplicate_order
DUPLICATE_ORDER
active_order_exists
link_duplicate
""",
    ErrorKind.RATE_LIMIT: """
Too many requests.
Too many requests. Please slow down.
Too many requests. Please wait 60 seconds.
Too many requests. Try again in 30 seconds.
Too many requests from this IP
Too many API requests
Too many attempts
Too Many Attempts.
Too many failed attempts
Too many requests, please wait
Rate limit exceeded.
Rate limit exceeded. Please slow down.
Rate limit exceeded. Max 60 requests per minute.
Rate limit exceeded: 60 requests per minute
Rate limit reached
API rate limit exceeded
Request limit exceeded
You have exceeded the rate limit
You have exceeded the API rate limit
You are sending too many requests
You are being rate limited
rate_limit_exceeded
RATE_LIMIT_EXCEEDED
RATE_LIMITED
too_many_requests
Spam protection. Wait 10 seconds
Daily limit reached
""",
}
"""Refusals by kind, one a line."""

UNCERTAIN = """
Something went wrong
Internal server error
Unexpected error
Unknown error
System error
Database error
Order failed
Order created
Order placed
Order not placed
Order could not be created
Order creation failed
Failed to create order
Failed to place order
Unable to place order
Unable to process your request
Could not process order
Your order is being processed
Order is processing
Processing
Pending
Order pending
Your order has been placed
Order accepted
Order received
Service unavailable
Service temporarily unavailable
Service is temporarily unavailable
Service is not available
Service is currently not available
Service not available
Service under maintenance
Service is disabled by provider
Service disabled by provider
Service not found at provider
Service provider error
Provider error
Provider error: Not enough funds
Provider error: Insufficient balance
Provider not found
Provider returned: invalid service
Not enough funds on provider account
Insufficient funds at provider
Insufficient provider balance
Insufficient balance on provider
Provider balance insufficient
API balance insufficient
Admin balance insufficient
Invalid provider response
Invalid response
Invalid response from API
Invalid API response
Empty response
API error
API Error: Insufficient balance
API connection failed
Connection timeout
Timeout
Request timed out
Gateway timeout
Bad gateway
Try again
Please try again
Please try again later
Too many requests, try again later
Insufficient balance. Please try again later
Invalid link, please try again
Insufficient balance 12345
Insufficient balance. Order 12345
Insufficient balance. Order #12345 canceled
Insufficient balance. Order saved
Insufficient balance, order is on hold
Insufficient balance. Your order is pending
Not enough funds. Order queued
Your order was canceled: insufficient balance
Order canceled. Insufficient funds
Order 123 failed: insufficient balance
Invalid link. Order 5 created
Invalid link, order refunded
Invalid link 12345
Invalid order
Invalid order id
Invalid order status
Order not found
Order already exists
Order already placed
Duplicate request
Duplicate transaction
An identical order was just placed
Identical order was placed recently
Your previous order was placed
Order duplicate of 12345
Link processing
error.link_processing
neworder.error
order.error
error
Error
Failed
fail
false
1
12345
OK
Success
success
Insufficient balance but order placed
Quantity is valid
Link is valid
Quantity is not required
Service is active
Service found
Your account is active
API key is valid
Refunded
Your balance has been refunded
Balance refunded
Insufficient balance, refunded
Quantity reduced to 100
Quantity adjusted to minimum 100
Quantity set to minimum 100
Minimum quantity applied
Partial order placed
Service changed
Invalid link skipped
Comments accepted
Bad request
Unauthorized
Forbidden
Not found
Access denied
Connection refused
SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry
Undefined index: order
Call to a member function on null
neworder.error.not_enough_funds.provider
provider_insufficient_funds
order_not_created
order_created
order_pending
upstream_error
not_enough_funds_provider
Service inactive at the supplier
Supplier: insufficient funds
Insufficient stock
Not enough accounts
Maximum number of active orders reached, order queued
Order is in queue
Rate limit exceeded at provider
Too many requests to provider
Upstream rate limit exceeded
Your account has a pending order
Your account has been charged
Your account has been charged. Insufficient balance
Account charged
Your balance is 5.00
Your balance is low now. Order placed
You have 5 active orders
You have an active order
You have an active order 12345 with this link
Active order 12345 exists for this link
Order 12345 already exists for this link
Please wait
Wait
Please wait until your order is completed
Please wait for your order
Your order with this link is in progress
Order for this link is in progress
Order with this link is active
Order for this link already placed
Please add funds to your account
Please top up your balance
Please wait until your previous order is completed
Invalid link, submitted
Invalid link, sent
Insufficient balance, order accepted
Invalid service. Order was placed with another service
Quantity exceeds maximum. Order 12345
Quantity is below minimum order 12345
Minimum quantity is 10 and order 12345 was created
Link is private; order queued
Your account has insufficient balance; the order is pending payment
Insufficient balance, invoice created
Insufficient balance. Pay within 10 minutes
Duplicate order 12345
Duplicate order: 12345
Duplicate of order 12345
Active order with this link: 12345
Processing order for this link
Pending order for this link
Order in progress for this link
Order for this link is pending
Service switched
Service is inactive at provider
Unable to verify link
Link will be checked
Link accepted
Quantity accepted
Quantity updated
Comments are being checked
Key rotated
Rate limit will be exceeded
Too many requests, your order is queued
Rate limited, order queued
You are being rate limited. Order saved
Validation pending
Validation passed
Not enough funds, partially placed
Not enough funds for full quantity, placed 50
Funds reserved
Balance deducted
Balance charged
Balance: 5.00
Your balance is 5.00
Charge 1.50
order_id
order_id_12345
12345_order
order.12345
error_12345
"""
"""Texts after which an order may exist, or that say nothing, one a line."""
