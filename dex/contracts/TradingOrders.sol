// SPDX-License-Identifier: MIT
// First on a DEX order's way: holds what an order sells until a router fills it or its owner takes it back.
pragma solidity ^0.8.24;

interface IToken {
    function decimals() external view returns (uint8);
}

/// What the contract needs of a router; the quote is that of Uniswap V2.
interface IRouter {
    function getAmountsOut(uint256 amountIn, address[] calldata path) external view returns (uint256[] memory);
    function swap(uint256 amountIn, uint256 minimumOut, address[] calldata path, address to)
        external
        payable
        returns (uint256 amountOut);
}

/// Orders that swap `amountIn` of one token for another as soon as the router's price allows it.
/// The zero address stands for the chain's own coin. A price is whole tokens out for one whole token in, times 10^18.
contract TradingOrders {
    enum OrderType {
        LIMIT, // fills at the target price or above it
        STOP // fills at the target price or below it
    }
    enum Status {
        NONE,
        PENDING,
        EXECUTED,
        CANCELLED
    }

    struct Order {
        address user;
        address tokenIn;
        address tokenOut;
        uint256 amountIn;
        uint256 targetPrice;
        OrderType orderType;
        Status status;
    }

    event OrderCreated(
        uint256 indexed orderId,
        address indexed user,
        address tokenIn,
        address tokenOut,
        uint256 amountIn,
        uint256 targetPrice,
        uint8 orderType
    );
    event OrderExecuted(
        uint256 indexed orderId,
        address indexed user,
        address tokenIn,
        address tokenOut,
        uint256 amountIn,
        uint256 amountOut
    );
    event OrderCancelled(uint256 indexed orderId, address indexed user, address tokenIn, uint256 amountIn);

    error NothingToSell();
    error SameToken();
    error NoTargetPrice();
    error WrongValue();
    error NotPending(uint256 orderId);
    error NotYours(uint256 orderId);
    error PriceNotReached(uint256 orderId, uint256 price);
    error TransferFailed(address token);
    error Reentered();

    uint256 private constant ONE = 10 ** 18;

    IRouter public immutable router;
    uint256 public orderCount;
    mapping(uint256 => Order) public orders;
    bool private entered;

    modifier once() {
        if (entered) revert Reentered();
        entered = true;
        _;
        entered = false;
    }

    constructor(IRouter router_) {
        router = router_;
    }

    /// Takes `amountIn` of `tokenIn` from the sender (the coin comes with the call) and opens an order; ids count from 1.
    /// A token that keeps a fee on transfers sells what has arrived.
    function createOrder(
        address tokenIn,
        address tokenOut,
        uint256 amountIn,
        uint256 targetPrice,
        OrderType orderType
    ) external payable once returns (uint256 orderId) {
        if (amountIn == 0) revert NothingToSell();
        if (targetPrice == 0) revert NoTargetPrice();
        if (tokenIn == tokenOut) revert SameToken();
        if (msg.value != (tokenIn == address(0) ? amountIn : 0)) revert WrongValue();
        if (tokenIn != address(0)) {
            uint256 before = _balance(tokenIn);
            _call(tokenIn, abi.encodeWithSignature("transferFrom(address,address,uint256)", msg.sender, this, amountIn));
            amountIn = _balance(tokenIn) - before;
            if (amountIn == 0) revert NothingToSell();
        }
        orderId = ++orderCount;
        orders[orderId] = Order(msg.sender, tokenIn, tokenOut, amountIn, targetPrice, orderType, Status.PENDING);
        emit OrderCreated(orderId, msg.sender, tokenIn, tokenOut, amountIn, targetPrice, uint8(orderType));
    }

    /// Fills a pending order at the router's price; anybody may call it, the proceeds go to the order's owner.
    function executeOrder(uint256 orderId) external once returns (uint256 amountOut) {
        Order storage order = orders[orderId];
        if (order.status != Status.PENDING) revert NotPending(orderId);
        address[] memory path = new address[](2);
        (path[0], path[1]) = (order.tokenIn, order.tokenOut);
        uint256 quoted = router.getAmountsOut(order.amountIn, path)[1];
        uint256 price = priceOf(order.tokenIn, order.tokenOut, order.amountIn, quoted);
        bool reached =
            order.orderType == OrderType.LIMIT ? price >= order.targetPrice : price <= order.targetPrice;
        if (!reached) revert PriceNotReached(orderId, price);
        order.status = Status.EXECUTED;
        bool coin = order.tokenIn == address(0);
        if (!coin) {
            _call(order.tokenIn, abi.encodeWithSignature("approve(address,uint256)", router, order.amountIn));
        }
        amountOut = router.swap{value: coin ? order.amountIn : 0}(order.amountIn, quoted, path, order.user);
        emit OrderExecuted(orderId, order.user, order.tokenIn, order.tokenOut, order.amountIn, amountOut);
    }

    /// Gives back what a pending order holds; only its owner may.
    function cancelOrder(uint256 orderId) external once {
        Order storage order = orders[orderId];
        if (order.status != Status.PENDING) revert NotPending(orderId);
        if (order.user != msg.sender) revert NotYours(orderId);
        order.status = Status.CANCELLED;
        emit OrderCancelled(orderId, order.user, order.tokenIn, order.amountIn);
        if (order.tokenIn == address(0)) {
            (bool sent,) = order.user.call{value: order.amountIn}("");
            if (!sent) revert TransferFailed(address(0));
        } else {
            _call(order.tokenIn, abi.encodeWithSignature("transfer(address,uint256)", order.user, order.amountIn));
        }
    }

    /// Whole tokens out for one whole token in, times 10^18.
    function priceOf(address tokenIn, address tokenOut, uint256 amountIn, uint256 amountOut)
        public
        view
        returns (uint256)
    {
        return (amountOut * ONE * 10 ** _decimals(tokenIn)) / (amountIn * 10 ** _decimals(tokenOut));
    }

    function _decimals(address token) private view returns (uint256) {
        return token == address(0) ? 18 : IToken(token).decimals();
    }

    function _balance(address token) private view returns (uint256) {
        (bool done, bytes memory answer) =
            token.staticcall(abi.encodeWithSignature("balanceOf(address)", address(this)));
        if (!done || answer.length < 32) revert TransferFailed(token);
        return abi.decode(answer, (uint256));
    }

    /// A call of a token that answers true, or nothing as some do.
    function _call(address token, bytes memory data) private {
        (bool done, bytes memory answer) = token.call(data);
        bool told = answer.length == 0 ? token.code.length > 0 : abi.decode(answer, (bool));
        if (!done || !told) revert TransferFailed(token);
    }
}
