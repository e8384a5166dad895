// SPDX-License-Identifier: MIT
// A router of the demo's and the tests' chain: one constant-product curve a pair, which its owner moves with the market.
pragma solidity ^0.8.24;

interface IERC20 {
    function transfer(address to, uint256 value) external returns (bool);
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/// Curves are virtual: they say the price, and what the router holds pays. The zero address is the chain's own coin.
contract DemoRouter {
    uint256 private constant FEE = 997; // of 1000, as Uniswap V2

    address public immutable owner = msg.sender;
    mapping(address => mapping(address => uint256)) public reserve; // of the first token, against the second

    error NotOwner();
    error NoPair();
    error WrongValue();
    error BelowMinimum();
    error TransferFailed();

    receive() external payable {}

    /// As Uniswap's routers tell it: what stands for the coin in a path. Here the coin does so itself.
    function WETH() external pure returns (address) {
        return address(0);
    }

    function setReserves(address one, address other, uint256 ofOne, uint256 ofOther) external {
        if (msg.sender != owner) revert NotOwner();
        reserve[one][other] = ofOne;
        reserve[other][one] = ofOther;
    }

    function getAmountsOut(uint256 amountIn, address[] calldata path) public view returns (uint256[] memory amounts) {
        amounts = new uint256[](path.length);
        amounts[0] = amountIn;
        for (uint256 hop = 1; hop < path.length; hop++) {
            amounts[hop] = _out(amounts[hop - 1], path[hop - 1], path[hop]);
        }
    }

    function swap(uint256 amountIn, uint256 minimumOut, address[] calldata path, address to)
        external
        payable
        returns (uint256 amountOut)
    {
        if (msg.value != (path[0] == address(0) ? amountIn : 0)) revert WrongValue();
        uint256[] memory amounts = getAmountsOut(amountIn, path);
        amountOut = amounts[path.length - 1];
        if (amountOut < minimumOut) revert BelowMinimum();
        for (uint256 hop = 1; hop < path.length; hop++) {
            reserve[path[hop - 1]][path[hop]] += amounts[hop - 1];
            reserve[path[hop]][path[hop - 1]] -= amounts[hop];
        }
        if (path[0] != address(0) && !IERC20(path[0]).transferFrom(msg.sender, address(this), amountIn)) {
            revert TransferFailed();
        }
        _pay(path[path.length - 1], to, amountOut);
    }

    function _out(uint256 amountIn, address one, address other) private view returns (uint256) {
        uint256 fed = amountIn * FEE;
        uint256 ofOther = reserve[other][one];
        if (ofOther == 0) revert NoPair();
        return (fed * ofOther) / (reserve[one][other] * 1000 + fed);
    }

    function _pay(address token, address to, uint256 value) private {
        if (token != address(0)) {
            if (!IERC20(token).transfer(to, value)) revert TransferFailed();
            return;
        }
        (bool sent,) = to.call{value: value}("");
        if (!sent) revert TransferFailed();
    }
}
