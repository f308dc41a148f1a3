"""The simulated world: state, clock and rules of Entra ID, PIM for Groups, provisioning and IAM Identity Center."""
