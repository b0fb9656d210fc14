// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/** An ordinary ERC-20 of six decimals, whose code can be put at any address: nothing is set by a constructor. */
contract Plain {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    uint256 public totalSupply;
    string public constant symbol = "TEST";

    function decimals() external pure virtual returns (uint8) { return 6; }

    function mint(address to, uint256 value) external {
        balanceOf[to] += value;
        totalSupply += value;
        emit Transfer(address(0), to, value);
    }

    function transfer(address to, uint256 value) external virtual returns (bool) {
        move(msg.sender, to, value);
        return true;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        allowance[from][msg.sender] -= value;
        move(from, to, value);
        return true;
    }

    function move(address from, address to, uint256 value) internal {
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }
}

/** Keeps one part in a hundred of every transfer for its owner. */
contract Feed is Plain {
    address constant OWNER = 0x000000000000000000000000000000000000Fee5;

    function transfer(address to, uint256 value) external override returns (bool) {
        uint256 fee = value / 100;
        move(msg.sender, to, value - fee);
        move(msg.sender, OWNER, fee);
        return true;
    }
}

/** Says that it moved what nobody has. */
contract Liar {
    event Transfer(address indexed from, address indexed to, uint256 value);
    string public constant symbol = "USDT";

    function decimals() external pure returns (uint8) { return 6; }
    function balanceOf(address) external pure returns (uint256) { return 0; }

    function transfer(address to, uint256 value) external returns (bool) {
        emit Transfer(msg.sender, to, value);
        return true;
    }
}

/** A token whose contract says another number of decimals than we were told. */
contract Eighteen is Plain {
    function decimals() external pure override returns (uint8) { return 18; }
}

/** Gives on what it is sent, as an exchange's batch does. */
contract Splitter {
    /** To each his part, by calls of its own. */
    function split(address payable[] calldata to, uint256[] calldata value) external payable {
        for (uint256 i = 0; i < to.length; i++) {
            (bool ok, ) = to[i].call{value: value[i]}("");
            require(ok);
        }
    }

    /** One part stays paid; another is paid inside a call that is reverted afterwards, which this one survives. */
    function splitAndRevert(address payable paid, address payable reverted, uint256 value) external payable {
        (bool ok, ) = paid.call{value: value}("");
        require(ok);
        try this.payAndRevert{value: value}(reverted) {} catch {}
    }

    function payAndRevert(address payable to) external payable {
        (bool ok, ) = to.call{value: msg.value}("");
        require(ok);
        revert("taken back");
    }

    /** Several transfers of a token in one transaction; whoever calls must have sent them here before. */
    function spread(address token, address[] calldata to, uint256[] calldata value) external {
        for (uint256 i = 0; i < to.length; i++) require(Plain(token).transfer(to[i], value[i]));
    }

    /** Ends its life, and what it has goes to another. */
    function endTo(address payable to) external payable {
        selfdestruct(to);
    }

    /** Pays, then fails: the whole transaction is void. */
    function fail(address payable to) external payable {
        (bool ok, ) = to.call{value: msg.value}("");
        require(ok);
        revert("all of it");
    }

    receive() external payable {}
}
